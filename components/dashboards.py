"""Dashboards as ConfigMaps that Grafana's sidecar finds by their label."""

import pulumi
import pulumi_kubernetes as k8s

from components import pods
from components.dashboard_files import Dashboard
from settings import Settings

APP = "dashboards"


class Dashboards(pulumi.ComponentResource):
    """One ConfigMap a dashboard."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        dashboards: list[Dashboard],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:Dashboards", name, {}, opts)
        for dashboard in dashboards:
            meta = pods.metadata(
                APP, settings.namespaces.main, f"dashboard-{dashboard.name}", **{"grafana_folder": dashboard.folder}
            )
            k8s.core.v1.ConfigMap(
                f"{name}-{dashboard.name}",
                metadata={**meta, "labels": {**meta["labels"], "grafana_dashboard": "1"}},
                data={f"{dashboard.name}.json": dashboard.text},
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"count": len(dashboards)})
