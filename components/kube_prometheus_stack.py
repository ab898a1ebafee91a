"""The official kube-prometheus-stack chart: operator, Prometheus, kube-state-metrics, node-exporter, Grafana."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components import addresses, chart_values, grafana_values, pods, remote_write
from components.monitors import GROUP
from components.versions import CHARTS
from settings import Settings, SettingsError
from settings.metrics import ChartSettings, OptionalCrd
from settings.reader import secret_keys

CRDS_RELEASE = "prometheus-operator-crds"
OPTIONAL_CRDS: tuple[str, ...] = get_args(OptionalCrd)
"""Kinds of which the stack makes none: a third of what the API server has to take in when the CRDs are made."""


def source(chart: str, settings: ChartSettings) -> dict[str, Any]:
    """`chart`, `version` and `repository_opts` of a chart resource. A chart in a folder has its own version.

    Raises SettingsError where the location is a folder that holds no chart.
    """
    location = settings.location or CHARTS[chart].oci
    if settings.repository:
        return {
            "chart": location,
            "version": settings.version or CHARTS[chart].version,
            "repository_opts": {"repo": settings.repository},
        }
    if location.startswith("oci://"):
        return {"chart": location, "version": settings.version or CHARTS[chart].version}
    if not (Path(location) / "Chart.yaml").is_file() and not location.endswith(".tgz"):
        raise SettingsError(
            f"the stack file: the chart {chart} is to come from {location}, which is no chart (no Chart.yaml there); "
            "give an OCI reference, a folder, or a chart name with a repository"
        )
    return {"chart": location}


def checksum(secrets: Sequence[pulumi.Output[str]]) -> pulumi.Output[str]:
    """Hash of all secrets that a pod reads only when it starts, known even at a preview that will make one of them.

    It tells nothing of them: the generated ones among them are long and random.
    """
    return pulumi.Output.unsecret(
        pulumi.Output.all(*secrets).apply(
            lambda values: "of a secret yet to be made" if pulumi.contains_unknowns(values) else pods.checksum(values),
            run_with_unknowns=True,
        )
    )


def crd_values(optional: Collection[str]) -> dict[str, Any]:
    """Which CRDs, in the chart's own names. One that is taken away here stays on the cluster, with its objects."""
    left_out = [name for name in OPTIONAL_CRDS if name not in optional]
    return {"annotations": {"helm.sh/resource-policy": "keep"}, **{name: {"enabled": False} for name in left_out}}


class PrometheusOperatorCrds(pulumi.ComponentResource):
    """The CRDs, as one release: as single objects each of them costs the engine about two seconds at every run.

    They are kept on removal, since with them every team's monitors would go. `ready` is what an object of their
    kinds depends on.
    """

    ready: pulumi.Resource

    def __init__(self, name: str, *, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("observability:index:PrometheusOperatorCrds", name, {}, opts)
        self.ready = self
        chosen = settings.kube_prometheus_stack
        if chosen.crds == "install":
            self.ready = k8s.helm.v3.Release(
                f"{name}-release",
                name=CRDS_RELEASE,
                namespace=settings.namespaces.main,
                values={"crds": crd_values(chosen.optional_crds)},
                skip_await=True,
                disable_openapi_validation=True,
                take_ownership=True,
                opts=pulumi.ResourceOptions(parent=self),
                **source("prometheus-operator-crds", chosen.crds_chart),
            )
        self.register_outputs({})


def held_back(crds: k8s.helm.v3.Release) -> pulumi.ResourceTransform:
    """The transform that lets the chart's objects of the CRDs' kinds wait for them. All others, with what is slow to
    start, do not; the operator waits for one of those objects (chart_values.operator).

    It waits itself: the engine takes no dependency from a transform of the parent. So none is in the state; at a
    `destroy` nothing needs it, since the CRDs are kept.
    """

    async def hold(args: pulumi.ResourceTransformArgs) -> None:
        # Whether the release was made does not matter here. A failed one ends the run; with --continue-on-error each
        # object then fails for itself where its kind is missing. An error of this function would fail the whole chart.
        if args.type_.startswith(f"kubernetes:{GROUP}/"):
            await crds.status.is_known()

    return hold


class KubePrometheusStack(pulumi.ComponentResource):
    """The chart, and Grafana's password in a Secret of its own."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        secrets: Mapping[str, pulumi.Output[str]],
        loki_password: pulumi.Output[str],
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:KubePrometheusStack", name, {}, opts)
        namespace, values = settings.namespaces.main, chart_values.values(settings)
        child = pulumi.ResourceOptions(parent=self)
        if settings.grafana.enabled:
            reads = [loki_password]
            password = random.RandomPassword(f"{name}-grafana-password", length=32, special=False, opts=child)
            k8s.core.v1.Secret(
                f"{name}-grafana-admin",
                metadata=pods.metadata("grafana", namespace, grafana_values.SECRET),
                string_data={"admin-user": "admin", "admin-password": password.result},
                opts=child,
            )
            reads.append(password.result)
            k8s.rbac.v1.ClusterRole(
                f"{name}-grafana-role",
                metadata=pods.metadata("grafana", name=grafana_values.ROLE),
                rules=[{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}],
                opts=child,
            )
            if settings.grafana.oidc:
                k8s.core.v1.Secret(
                    f"{name}-grafana-oidc",
                    metadata=pods.metadata("grafana", namespace, grafana_values.OIDC_SECRET),
                    string_data={grafana_values.OIDC_KEY: secrets[settings.grafana.oidc.client_secret_secret]},
                    opts=child,
                )
                reads.append(secrets[settings.grafana.oidc.client_secret_secret])
            values["grafana"]["podAnnotations"] = {"checksum/secrets": checksum(reads)}
        keys = secret_keys(settings.prometheus)
        if keys:
            k8s.core.v1.Secret(
                f"{name}-remote-write",
                metadata=pods.metadata("prometheus", namespace, remote_write.SECRET),
                string_data={**{key: secrets[key] for key in keys}, **remote_write.usernames(settings)},
                opts=child,
            )
        # A preview makes nothing that could wait.
        waits = [held_back(crds)] if isinstance(crds, k8s.helm.v3.Release) and not pulumi.runtime.is_dry_run() else None
        # One unknown argument would empty the chart's preview: every argument is known.
        k8s.helm.v4.Chart(
            f"{name}-chart",
            name=addresses.CHART,
            namespace=namespace,
            values=values,
            skip_crds=True,
            opts=pulumi.ResourceOptions(parent=self, transforms=waits),
            **source("kube-prometheus-stack", settings.kube_prometheus_stack.chart),
        )
        self.register_outputs({"grafanaSecret": grafana_values.SECRET})
