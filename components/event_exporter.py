"""The event exporter: Kubernetes events and their updates into Loki."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import images, pods
from components.event_exporter_config import APP, config
from components.loki_gateway import CREDENTIALS
from components.monitors import pod_monitor
from settings import Settings

PORT = 12345
USER = 473
"""The user `alloy` of the image."""


def pod_spec(settings: Settings) -> dict[str, Any]:
    """Pod of the Deployment."""
    return {
        "serviceAccountName": APP,
        "priorityClassName": pods.PRIORITY_CLASS,
        "securityContext": pods.restricted_pod(USER),
        "containers": [
            {
                "name": "alloy",
                "image": images.reference("alloy", settings),
                "args": [
                    "run",
                    "/etc/alloy/config/config.alloy",
                    "--storage.path=/var/lib/alloy",
                    f"--server.http.listen-addr=0.0.0.0:{PORT}",
                    "--disable-reporting",
                ],
                "ports": [{"name": "http-metrics", "containerPort": PORT}],
                "resources": settings.events.resources.manifest(),
                "securityContext": pods.RESTRICTED_CONTAINER,
                "readinessProbe": pods.http_probe("/-/ready", "http-metrics", period=5),
                "livenessProbe": pods.http_probe("/-/ready", "http-metrics", failures=6),
                "volumeMounts": [
                    {"name": "config", "mountPath": "/etc/alloy/config"},
                    {"name": "credentials", "mountPath": "/etc/alloy/secrets", "readOnly": True},
                    {"name": "data", "mountPath": "/var/lib/alloy"},
                ],
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": f"{APP}-config"}},
            {"name": "credentials", "secret": {"secretName": CREDENTIALS}},
            # Where it stopped reading. A new pod reads what the API server still has (an hour) again: the same lines
            # at the same times, which Loki keeps once.
            {"name": "data", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }


class EventExporter(pulumi.ComponentResource):
    """One Alloy that watches events, and may do nothing else in the cluster."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:EventExporter", name, {}, opts)
        namespace = settings.namespaces.main
        child = pulumi.ResourceOptions(parent=self)
        meta = pods.metadata(APP, namespace)
        content = config(settings)
        k8s.core.v1.ServiceAccount(f"{name}-account", metadata=meta, opts=child)
        k8s.core.v1.ConfigMap(
            f"{name}-config",
            metadata=pods.metadata(APP, namespace, f"{APP}-config"),
            data={"config.alloy": content},
            opts=child,
        )
        k8s.rbac.v1.ClusterRole(
            f"{name}-role",
            metadata=pods.metadata(APP),
            rules=[{"apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]}],
            opts=child,
        )
        k8s.rbac.v1.ClusterRoleBinding(
            f"{name}-role-binding",
            metadata=pods.metadata(APP),
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": APP},
            subjects=[{"kind": "ServiceAccount", "name": APP, "namespace": namespace}],
            opts=child,
        )
        k8s.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=meta,
            spec={
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": pods.selector(APP)},
                "template": {
                    "metadata": {
                        "labels": pods.labels(APP),
                        "annotations": {"checksum/config": pods.checksum(content)},
                    },
                    "spec": pod_spec(settings),
                },
            },
            opts=child,
        )
        pod_monitor(f"{name}-monitor", APP, namespace, "http-metrics", self, crds)
        self.register_outputs({})
