"""PodDisruptionBudgets: how many replicas of an app a drain of nodes may take at once."""

import pulumi
import pulumi_kubernetes as k8s

from components import pods


def disruption_budget(name: str, app: str, namespace: str, replicas: int, parent: pulumi.Resource) -> None:
    """One replica at a time. None for a single one: it would hold up every drain."""
    if replicas > 1:
        k8s.policy.v1.PodDisruptionBudget(
            f"{name}-disruption-budget",
            metadata=pods.metadata(app, namespace),
            spec={"maxUnavailable": 1, "selector": {"matchLabels": pods.selector(app)}},
            opts=pulumi.ResourceOptions(parent=parent),
        )
