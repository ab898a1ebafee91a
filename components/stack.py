"""The composition: one of these a cluster."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pulumi

from components import addresses, chart_values, dashboards, rule_files
from components.alert_rules import AlertRules, config_map_name
from components.alertmanager import Alertmanager
from components.alloy import Alloy
from components.blackbox_exporter import BlackboxExporter
from components.dashboards import Dashboards
from components.dcgm_exporter import DcgmExporter
from components.event_exporter import EventExporter
from components.kube_prometheus_stack import KubePrometheusStack, PrometheusOperatorCrds
from components.loki import Loki
from components.loki_gateway import LokiGateway
from components.namespaces import Namespaces
from components.network_policies import NetworkPolicies, enabled
from components.promtail import Promtail
from components.running import running
from settings import Settings

ROOT = Path(__file__).parent.parent


@cache
def _rule_files(evaluator: str) -> list[rule_files.RuleFile]:
    return rule_files.load(ROOT / "rules" / evaluator)


def select_rules(settings: Settings) -> tuple[rule_files.Selection, rule_files.Selection]:
    """Rules that the stack ships: for Prometheus, and for Loki's ruler.

    Raises SettingsError where the stack tunes something that does not exist.
    """
    files = {evaluator: _rule_files(evaluator) for evaluator in ("prometheus", "loki")}
    rule_files.check_tuning([*files["prometheus"], *files["loki"]], settings.alerts)
    runs, cluster = running(settings), settings.cluster.name
    prometheus, loki = (rule_files.build(chosen, settings.alerts, runs, cluster) for chosen in files.values())
    return prometheus, loki


def select_dashboards(settings: Settings) -> dashboards.Selection:
    """Dashboards that the stack ships, with its runbooks and thresholds. Raises SettingsError for a broken file."""
    files = [*_rule_files("prometheus"), *_rule_files("loki")]
    return dashboards.select(dashboards.load(ROOT / "dashboards"), files, settings.alerts, running(settings))


class ObservabilityStack(pulumi.ComponentResource):
    """Everything that a cluster gets. `exports` is what the program exports."""

    exports: dict[str, Any]

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        secrets: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:ObservabilityStack", name, {}, opts)
        prometheus_rules, loki_rules = select_rules(settings)
        boards = select_dashboards(settings)

        namespaces = Namespaces("namespaces", settings=settings.namespaces, opts=pulumi.ResourceOptions(parent=self))
        child = pulumi.ResourceOptions(parent=self, depends_on=[namespaces])
        if enabled(settings):
            NetworkPolicies("network-policies", settings=settings, opts=child)
        crds = PrometheusOperatorCrds("prometheus-operator-crds", settings=settings, opts=child).ready
        KubePrometheusStack("kube-prometheus-stack", settings=settings, crds=crds, opts=child)
        AlertRules(
            "alert-rules", settings=settings, prometheus=prometheus_rules, loki=loki_rules, crds=crds, opts=child
        )
        if settings.grafana.enabled:
            Dashboards("dashboards", settings=settings, dashboards=boards.shipped, opts=child)
        LokiGateway("loki-gateway", settings=settings, opts=child)
        Loki(
            "loki",
            settings=settings,
            rule_config_maps=[config_map_name("loki", file) for file in loki_rules.files],
            secrets=secrets,
            crds=crds,
            opts=child,
        )
        if settings.log_agent.program == "alloy":
            Alloy("alloy", settings=settings, crds=crds, opts=child)
        else:
            Promtail("promtail", settings=settings, crds=crds, opts=child)
        if settings.events.mode == "deploy":
            EventExporter("event-exporter", settings=settings, crds=crds, opts=child)
        Alertmanager("alertmanager", settings=settings, secrets=secrets, crds=crds, opts=child)
        BlackboxExporter("blackbox-exporter", settings=settings, crds=crds, opts=child)
        if settings.dcgm.mode != "off":
            DcgmExporter("dcgm-exporter", settings=settings, crds=crds, opts=child)

        self.exports = {
            "namespaces": settings.namespaces.model_dump(),
            "addresses": addresses.addresses(settings),
            "grafanaSecret": chart_values.GRAFANA_SECRET if settings.grafana.enabled else None,
            "alerts": {"prometheus": len(prometheus_rules.alerts()), "loki": len(loki_rules.alerts())},
            "dashboards": {
                "shipped": [board.name for board in boards.shipped],
                "leftOut": boards.left_out,
            },
        }
        self.register_outputs(self.exports)
