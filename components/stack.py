"""The composition: one of these a cluster."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pulumi

from components import (
    addresses,
    blackbox_config,
    cloudflare_tunnel,
    dashboard_files,
    deletion,
    flux,
    grafana_values,
    images,
    loki_gateway_config,
    network_policies,
    probe_teams,
    rule_files,
)
from components.alert_rules import AlertRules, config_map_name
from components.alertmanager import Alertmanager
from components.alloy import Alloy
from components.annotated_pods import AnnotatedPods
from components.argo_cd import ArgoCd
from components.blackbox_exporter import BlackboxExporter
from components.central_logs import CentralLogs
from components.cloudflare_tunnel import CloudflareTunnel
from components.dashboards import Dashboards
from components.dcgm_exporter import DcgmExporter
from components.event_exporter import EventExporter
from components.exporters import Exporters
from components.flux import Flux
from components.hub import Hub
from components.kube_prometheus_stack import KubePrometheusStack, PrometheusOperatorCrds
from components.loki import Loki
from components.loki_distributed import LokiDistributed
from components.loki_gateway import LokiGateway
from components.minio import Minio
from components.namespaces import Namespaces
from components.network_policies import NetworkPolicies
from components.pod_admission import PodAdmission
from components.promtail import Promtail
from components.running import running
from settings import Settings
from settings.cluster import Software
from settings.logs import MinIO

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
    blackbox_config.check_slow(settings)
    runs, cluster = running(settings), settings.cluster.name
    jobs = existing_jobs(settings)
    prometheus, loki = (rule_files.build(chosen, settings.alerts, runs, cluster, jobs) for chosen in files.values())
    return prometheus, loki


def existing_jobs(settings: Settings) -> dict[str, str]:
    """For each exporter that is not ours: our name of it, which rules use, and its real `job`."""
    tunnel = settings.cloudflare_tunnel.job
    return settings.exporters.jobs() | ({"cloudflared": tunnel} if tunnel else {})


def select_dashboards(settings: Settings) -> dashboard_files.Selection:
    """Dashboards that the stack ships, with its runbooks and thresholds. Raises SettingsError for a broken file."""
    files = [*_rule_files("prometheus"), *_rule_files("loki")]
    return dashboard_files.select(dashboard_files.load(ROOT / "dashboards"), files, settings.alerts, running(settings))


def gitops(
    settings: Settings, secrets: Mapping[str, pulumi.Output[str]], crds: pulumi.Resource, opts: pulumi.ResourceOptions
) -> None:
    """What watches the GitOps software that the cluster runs."""
    if Software.FLUX in settings.cluster.runs:
        Flux("flux", settings=settings, secrets=secrets, crds=crds, opts=opts)
    if Software.ARGO_CD in settings.cluster.runs and settings.argo_cd.monitor:
        ArgoCd("argo-cd", settings=settings, crds=crds, opts=opts)


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
        deleted = pulumi.ResourceOptions(transformations=[deletion.at_once])
        opts = pulumi.ResourceOptions.merge(opts, deleted)
        super().__init__("observability:index:ObservabilityStack", name, {}, opts)
        images.check(settings)
        flux.check(settings)
        cloudflare_tunnel.check(settings)
        loki_gateway_config.check(settings)
        prometheus_rules, loki_rules = select_rules(settings)
        boards = select_dashboards(settings)

        namespaces = Namespaces("namespaces", settings=settings.namespaces, opts=pulumi.ResourceOptions(parent=self))
        below = pulumi.ResourceOptions(parent=self, depends_on=[namespaces])
        # First, and beside what needs none of them: of all that others wait for they take the longest.
        crds = PrometheusOperatorCrds("prometheus-operator-crds", settings=settings, opts=below).ready
        admission = PodAdmission("pod-admission", settings=settings, opts=below)
        # A pod whose priority class is missing is refused.
        child = pulumi.ResourceOptions(parent=self, depends_on=[namespaces, admission])
        if network_policies.enabled(settings):
            NetworkPolicies("network-policies", settings=settings, opts=child)
        gateway = LokiGateway("loki-gateway", settings=settings, secrets=secrets, opts=child)
        metrics = KubePrometheusStack(
            "kube-prometheus-stack",
            settings=settings,
            secrets=secrets,
            loki_password=gateway.password,
            crds=crds,
            opts=child,
        )
        if settings.hub.enabled:
            Hub("hub", settings=settings, crds=crds, opts=child)
        if isinstance(settings.loki.storage, MinIO):
            Minio("minio", settings=settings, storage=settings.loki.storage, crds=crds, opts=child)
        (LokiDistributed if settings.loki.distributed else Loki)(
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
        if settings.central_logs:
            central = settings.central_logs
            CentralLogs("central-logs", settings=settings, central=central, secrets=secrets, crds=crds, opts=child)
        if settings.events.mode == "deploy":
            EventExporter("event-exporter", settings=settings, crds=crds, opts=child)
        BlackboxExporter("blackbox-exporter", settings=settings, secrets=secrets, crds=crds, opts=child)
        _optional(settings, secrets, crds, child)
        if settings.dcgm.mode != "off":
            DcgmExporter("dcgm-exporter", settings=settings, crds=crds, opts=child)
        gitops(settings, secrets, crds, child)
        # What is large comes late, dashboards after Grafana: the engine writes its whole state around each object.
        Alertmanager("alertmanager", settings=settings, secrets=secrets, crds=crds, opts=child)
        AlertRules(
            "alert-rules",
            settings=settings,
            prometheus=probe_teams.by_target(prometheus_rules, settings),
            loki=loki_rules,
            crds=crds,
            copies_after=metrics,
            opts=child,
        )
        if settings.grafana.enabled:
            after = pulumi.ResourceOptions(parent=self, depends_on=[namespaces, metrics])
            Dashboards("dashboards", settings=settings, dashboards=boards.shipped, opts=after)

        self.exports = {
            "namespaces": settings.namespaces.model_dump(),
            "addresses": addresses.addresses(settings),
            "grafanaSecret": grafana_values.SECRET if settings.grafana.enabled else None,
            "alerts": {"prometheus": len(prometheus_rules.alerts()), "loki": len(loki_rules.alerts())},
            "dashboards": {
                "shipped": [board.name for board in boards.shipped],
                "leftOut": boards.left_out,
            },
        }
        self.register_outputs(self.exports)


def _optional(
    settings: Settings, secrets: Mapping[str, pulumi.Output[str]], crds: pulumi.Resource, child: pulumi.ResourceOptions
) -> None:
    """What most stacks do without."""
    if settings.prometheus.annotated_pods.enabled:
        AnnotatedPods("annotated-pods", settings=settings, crds=crds, opts=child)
    if any(one.mode == "deploy" for one in settings.exporters.by_name().values()):
        Exporters("exporters", settings=settings, crds=crds, opts=child)
    if settings.cloudflare_tunnel.mode == "deploy":
        CloudflareTunnel("cloudflare-tunnel", settings=settings, secrets=secrets, crds=crds, opts=child)
