"""The account of a program that watches the cluster's pods or events, and may do nothing else."""

import pulumi
import pulumi_kubernetes as k8s

from components import pods

VERBS = ["get", "list", "watch"]


def watching_account(name: str, app: str, namespace: str, resource: str, child: pulumi.ResourceOptions) -> None:
    """A service account called `app`, with the right to watch this resource of the core API in all namespaces."""
    k8s.core.v1.ServiceAccount(f"{name}-account", metadata=pods.metadata(app, namespace), opts=child)
    k8s.rbac.v1.ClusterRole(
        f"{name}-role",
        metadata=pods.metadata(app),
        rules=[{"apiGroups": [""], "resources": [resource], "verbs": VERBS}],
        opts=child,
    )
    k8s.rbac.v1.ClusterRoleBinding(
        f"{name}-role-binding",
        metadata=pods.metadata(app),
        role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": app},
        subjects=[{"kind": "ServiceAccount", "name": app, "namespace": namespace}],
        opts=child,
    )
