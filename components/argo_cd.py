"""Argo CD: its controllers are scraped."""

from typing import Any

import pulumi

from components import pods
from components.monitors import NODE_LABEL, monitoring_object
from settings import Settings

APP = "argo-cd"
PORTS = ("metrics", "http-metrics")
"""Name of the metrics port: in Argo CD's own manifests, and in its chart."""


def monitor(namespace: str) -> dict[str, Any]:
    """ServiceMonitor of every Service of Argo CD that has metrics."""
    return {
        "namespaceSelector": {"matchNames": [namespace]},
        "selector": {"matchLabels": {"app.kubernetes.io/part-of": "argocd"}},
        # The Application's own labels keep the prefix `exported_`.
        "endpoints": [{"port": port, "honorLabels": False, "relabelings": NODE_LABEL} for port in PORTS],
    }


class ArgoCd(pulumi.ComponentResource):
    """ServiceMonitor of Argo CD's Services."""

    def __init__(
        self, name: str, *, settings: Settings, crds: pulumi.Resource, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("observability:index:ArgoCd", name, {}, opts)
        meta = pods.metadata(APP, settings.namespaces.main)
        monitoring_object(f"{name}-monitor", "ServiceMonitor", meta, monitor(settings.argo_cd.namespace), self, crds)
        self.register_outputs({})
