"""The event exporter: Kubernetes events and their updates into Loki."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import images, pods
from components.event_exporter_config import APP, config
from components.loki_gateway import CREDENTIALS
from components.monitors import pod_monitor
from components.watching_account import watching_account
from settings import Settings

PORT = 12345
USER = 473
"""The user `alloy` of the image."""


def pod_spec(settings: Settings, app: str = APP, credentials: str = CREDENTIALS) -> dict[str, Any]:
    """Pod of the Deployment. `credentials` is the Secret with the password."""
    return {
        "serviceAccountName": app,
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
            {"name": "config", "configMap": {"name": f"{app}-config"}},
            {"name": "credentials", "secret": {"secretName": credentials}},
            # Where it stopped reading. A new pod reads what the API server still has (an hour) again: the same lines
            # at the same times, which Loki keeps once.
            {"name": "data", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }


def deploy(
    name: str,
    app: str,
    content: str,
    spec: dict[str, Any],
    *,
    settings: Settings,
    parent: pulumi.Resource,
    crds: pulumi.Resource,
) -> None:
    """The objects of an event exporter, as children of `parent`; `content` is its configuration."""
    namespace = settings.namespaces.main
    child = pulumi.ResourceOptions(parent=parent)
    watching_account(name, app, namespace, "events", child)
    k8s.core.v1.ConfigMap(
        f"{name}-config",
        metadata=pods.metadata(app, namespace, f"{app}-config"),
        data={"config.alloy": content},
        opts=child,
    )
    k8s.apps.v1.Deployment(
        f"{name}-deployment",
        metadata=pods.metadata(app, namespace),
        spec={
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            **pods.workload(app, spec, **{"checksum/config": pods.checksum(content)}),
        },
        opts=child,
    )
    pod_monitor(f"{name}-monitor", app, namespace, "http-metrics", parent, crds)


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
        deploy(name, APP, config(settings), pod_spec(settings), settings=settings, parent=self, crds=crds)
        self.register_outputs({})
