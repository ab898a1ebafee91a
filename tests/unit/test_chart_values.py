"""Values of the chart: no secret among them, our Alertmanager as target, chart alerts off."""

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components.chart_values import ALERT_GROUPS, API_SERVER_GROUPS, values
from components.kube_prometheus_stack import crd_values, held_back, source
from components.running import running, scraped_parts
from components.versions import CHARTS
from settings import Settings, SettingsError, parse
from settings.metrics import ChartSettings
from tools.synth import Program


def settings(distribution: str = "kubeadm", **sections: Any) -> Settings:
    cluster = {"name": "test", "distribution": distribution, **sections.pop("cluster", {})}
    return parse({"cluster": cluster, "alertmanager": {"heartbeat": "none"}, **sections}, "f")


def test_alerts_leave_for_our_alertmanager() -> None:
    spec = values(settings())["prometheus"]["prometheusSpec"]
    assert spec["alertingEndpoints"] == [
        {"name": "alertmanager", "namespace": "monitoring", "port": "http-web", "apiVersion": "v2"}
    ]
    assert values(settings())["alertmanager"] == {"enabled": False}


def test_everything_is_selected() -> None:
    spec = values(settings())["prometheus"]["prometheusSpec"]
    off = {key for key, value in spec.items() if key.endswith("NilUsesHelmValues") and value is False}
    assert len(off) == 5


def test_chart_alerts_are_off_and_hooks_are_not_needed() -> None:
    chosen = values(settings())
    assert set(chosen["defaultRules"]["rules"]) == {*ALERT_GROUPS, *API_SERVER_GROUPS}
    assert not any(chosen["defaultRules"]["rules"].values())
    assert chosen["prometheusOperator"]["admissionWebhooks"] == {"enabled": False}
    assert chosen["prometheusOperator"]["tls"] == {"enabled": False}
    assert chosen["crds"] == {"enabled": False}


def test_recordings_for_a_dashboard_of_the_chart_come_with_it() -> None:
    chosen = values(settings(grafana={"defaultDashboards": True}))
    assert set(chosen["defaultRules"]["rules"]) == set(ALERT_GROUPS)


def test_crds_that_nobody_uses_are_left_out() -> None:
    assert crd_values(())["prometheusagents"] == crd_values(())["thanosrulers"] == {"enabled": False}
    assert set(crd_values(("thanosrulers",))) == {"annotations", "prometheusagents"}


def test_a_further_kind_starts_the_operator_anew() -> None:
    chosen = values(settings(kubePrometheusStack={"optionalCrds": ["thanosrulers", "prometheusagents"]}))
    annotations = chosen["prometheusOperator"]["podAnnotations"]
    assert annotations == {"observability/optional-crds": "prometheusagents-thanosrulers"}
    assert "podAnnotations" not in values(settings())["prometheusOperator"]


@pytest.mark.parametrize("made", [True, False])
def test_objects_of_the_crds_wait_for_them_and_nothing_else(made: bool) -> None:
    """They go on also where the CRDs were not made: each then says so for itself."""
    objects = {
        "kubernetes:monitoring.coreos.com/v1:Prometheus": "chart:monitoring/kube-prometheus-stack-prometheus",
        "kubernetes:monitoring.coreos.com/v1:ServiceMonitor": "chart:monitoring/kube-prometheus-stack-operator",
        "kubernetes:apps/v1:DaemonSet": "chart:monitoring-agents/kube-prometheus-stack-prometheus-node-exporter",
    }

    async def order() -> tuple[set[str], set[str]]:
        known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        hold: Any = held_back(SimpleNamespace(status=SimpleNamespace(is_known=lambda: known)))
        options = pulumi.ResourceOptions()
        arguments = [pulumi.ResourceTransformArgs(True, kind, name, {}, options) for kind, name in objects.items()]
        tasks = {asyncio.ensure_future(hold(one)): one.type_ for one in arguments}
        for _ in tasks:
            await asyncio.sleep(0)
        first = {kind for task, kind in tasks.items() if task.done()}
        known.set_result(made)
        await asyncio.wait(tasks)
        return first, {kind for task, kind in tasks.items() if task.result() is None}

    free = {"kubernetes:apps/v1:DaemonSet"}
    assert asyncio.run(order()) == (free, set(objects))


def test_values_are_literal_and_without_secrets(program_of: Callable[[str], Program]) -> None:
    for stack in ("dev", "prod"):
        [chart] = program_of(stack).of_type("v4:Chart")
        assert not chart.secret
        assert "<secret" not in json.dumps(chart.inputs)


def test_crds_and_operator_are_of_one_version() -> None:
    assert CHARTS["kube-prometheus-stack"].app_version == CHARTS["prometheus-operator-crds"].app_version


def test_kube_state_metrics_is_scraped_more_often_than_the_rest() -> None:
    """The state of objects is what most critical alerts look at: docs/delivery.md."""
    chosen = values(settings())
    assert chosen["kube-state-metrics"]["prometheus"]["monitor"]["http"] == {"interval": "15s"}
    assert chosen["prometheus"]["prometheusSpec"]["scrapeInterval"] == "30s"


def test_retention_is_limited_by_size_too() -> None:
    chosen = settings(prometheus={"volumeSize": "100Gi", "retention": "35d"})
    spec = values(chosen)["prometheus"]["prometheusSpec"]
    assert (spec["retention"], spec["retentionSize"]) == ("35d", "81920MiB")


@pytest.mark.parametrize("distribution", ["eks", "gke", "aks", "k3s", "kubeadm", "local"])
def test_fresh_clusters_scrape_only_what_answers(distribution: str) -> None:
    chosen = settings(distribution)
    parts = scraped_parts(chosen)
    assert parts == {
        "kubeScheduler": False,
        "kubeControllerManager": False,
        "kubeEtcd": False,
        "kubeProxy": False,
        "coreDns": distribution != "gke",
    }
    rules = running(chosen)
    for part in ("scheduler", "controller-manager", "etcd", "kube-proxy"):
        assert rules[part] is not None
    assert (rules["coredns"] is None) is parts["coreDns"]


def test_targets_and_rules_of_the_control_plane_go_together() -> None:
    chosen = settings("kubeadm", cluster={"controlPlane": ["etcd"]})
    assert scraped_parts(chosen)["kubeEtcd"] is True
    assert values(chosen)["kubeEtcd"] == {"enabled": True}
    assert running(chosen)["etcd"] is None


def test_month_needs_a_month_of_data() -> None:
    assert "below 31d" in (running(settings())["availability-30d"] or "")
    assert running(settings(prometheus={"retention": "35d"}))["availability-30d"] is None
    hub = {"remoteWrite": [{"url": "https://hub.example.com/api/v1/write", "name": "hub"}]}
    assert running(settings(prometheus=hub))["availability-30d"] is None


def test_chart_source() -> None:
    official = source("kube-prometheus-stack", ChartSettings())
    assert official == {
        "chart": CHARTS["kube-prometheus-stack"].oci,
        "version": CHARTS["kube-prometheus-stack"].version,
    }
    named = ChartSettings(location="kube-prometheus-stack", repository="https://charts.example.com", version="1.2.3")
    assert source("kube-prometheus-stack", named) == {
        "chart": "kube-prometheus-stack",
        "version": "1.2.3",
        "repository_opts": {"repo": "https://charts.example.com"},
    }
    with pytest.raises(SettingsError, match="is no chart"):
        source("kube-prometheus-stack", ChartSettings(location="no/such/folder"))
