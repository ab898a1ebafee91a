"""What the API server holds the stack's pods to beside Pod Security: their priority, quotas and limit ranges."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import pods
from settings import Settings
from settings.cluster import Distribution
from settings.security import NamespaceLimits

PRIORITY = 1_000_000
"""Above every pod without a class (0), far below those of the system (2,000,000,000)."""
CRITICAL_PODS = {
    "hard": {"pods": "1G"},
    "scopeSelector": {
        "matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": [pods.NODE_PRIORITY_CLASS]},
        ]
    },
}
"""GKE admits pods of the system's priority classes outside kube-system only where a quota names the class."""


def quotas(settings: Settings) -> list[dict[str, Any]]:
    """Name, namespace and spec of every ResourceQuota."""
    found = [
        {"name": pods.PART_OF, "namespace": namespace, "spec": {"hard": dict(limits.quota)}}
        for namespace, limits in _limits(settings)
        if limits.quota
    ]
    if settings.cluster.distribution is Distribution.GKE:
        found.append({"name": "critical-pods", "namespace": settings.namespaces.agents, "spec": CRITICAL_PODS})
    return found


def limit_ranges(settings: Settings) -> list[dict[str, Any]]:
    """Name, namespace and spec of every LimitRange."""
    found = []
    for namespace, limits in _limits(settings):
        item: dict[str, Any] = {"type": "Container"}
        if limits.container_default:
            default = limits.container_default.manifest()
            item |= {"defaultRequest": default["requests"], "default": default["limits"]}
        if limits.container_max:
            item["max"] = dict(limits.container_max)
        if len(item) > 1:
            found.append({"name": pods.PART_OF, "namespace": namespace, "spec": {"limits": [item]}})
    return found


def _limits(settings: Settings) -> list[tuple[str, NamespaceLimits]]:
    limits = settings.security.limits
    return [(settings.namespaces.main, limits.main), (settings.namespaces.agents, limits.agents)]


class PodAdmission(pulumi.ComponentResource):
    """The priority class of the stack, and the quotas and limit ranges of its namespaces."""

    def __init__(self, name: str, *, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("observability:index:PodAdmission", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        k8s.scheduling.v1.PriorityClass(
            f"{name}-priority-class",
            metadata=pods.metadata(pods.PART_OF, None, pods.PRIORITY_CLASS),
            value=PRIORITY,
            # Who needs to see what happens must not be evicted first, nor push out what it watches.
            preemption_policy="Never",
            description="Pods of the observability stack: evicted late, and no other pod is evicted for them.",
            opts=child,
        )
        for quota in quotas(settings):
            k8s.core.v1.ResourceQuota(
                f"{name}-quota-{quota['namespace']}-{quota['name']}",
                metadata=pods.metadata(pods.PART_OF, quota["namespace"], quota["name"]),
                spec=quota["spec"],
                opts=child,
            )
        for limit_range in limit_ranges(settings):
            k8s.core.v1.LimitRange(
                f"{name}-limit-range-{limit_range['namespace']}",
                metadata=pods.metadata(pods.PART_OF, limit_range["namespace"], limit_range["name"]),
                spec=limit_range["spec"],
                opts=child,
            )
        self.register_outputs({})
