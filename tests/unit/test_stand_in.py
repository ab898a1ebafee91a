"""The stand-in for the chart: made from the same settings, named as a stand-in, and only for the local cluster."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from components import addresses, chart_values
from components.dcgm_exporter import COUNTERS
from components.versions import IMAGES
from settings import Settings
from settings.reader import PROJECT
from tools import charts, manifests, stand_in, up
from tools.apply import LocalSecrets
from tools.cluster.images import Brought
from tools.rules import stack_settings
from tools.stand_in.dcgm import RECORDED
from tools.synth import ROOT, stack_config


@pytest.fixture(scope="module", autouse=True)
def without_charts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "chart", lambda _name: None)
        yield


@cache
def settings() -> Settings:
    return stack_settings("dev")


@cache
def rendered(*, local: bool) -> manifests.Manifests:
    return manifests.manifests("dev", ROOT / "Pulumi.dev.yaml", local=local)


def of(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


def test_only_the_local_cluster_gets_stand_ins() -> None:
    elsewhere = rendered(local=False)
    assert elsewhere.missing_charts == ["kube-prometheus-stack"]
    assert elsewhere.stand_ins == []
    assert not any(stand_in.STANDS_FOR in item["metadata"].get("labels", {}) for item in elsewhere.objects)


def test_stand_ins_are_labelled_and_said() -> None:
    local = rendered(local=True)
    assert local.missing_charts == []
    assert len(local.stand_ins) == 2
    assert all(stand_in.STANDS_FOR in item["metadata"]["labels"] for item in stand_in.chart_objects(settings()))


def test_grafana_is_left_out_as_a_whole() -> None:
    names = [item["metadata"]["name"] for item in rendered(local=True).objects]
    assert not [name for name in names if "grafana" in name or name.startswith("dashboard")]


def test_prometheus_has_every_value_that_the_chart_would_use() -> None:
    values = chart_values.values(settings())["prometheus"]["prometheusSpec"]
    spec = of(stand_in.chart_objects(settings()), "Prometheus", addresses.PROMETHEUS)["spec"]
    same = {key for key in values if key not in {"image", "storageSpec", "alertingEndpoints"}}
    for key in same - {key for key in values if key.endswith("NilUsesHelmValues")}:
        assert spec[key] == values[key], key
    assert spec["storage"] == values["storageSpec"]
    assert spec["alerting"] == {"alertmanagers": values["alertingEndpoints"]}
    for kind in ("rule", "serviceMonitor", "podMonitor", "probe", "scrapeConfig"):
        assert spec[f"{kind}Selector"] == spec[f"{kind}NamespaceSelector"] == {}


def test_every_object_is_there_once_and_in_a_namespace() -> None:
    objects = rendered(local=True).objects
    keys = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in objects]
    assert len(set(keys)) == len(keys)
    for kind, namespace, name in keys:
        assert (namespace is None) == (kind in charts.CLUSTER_SCOPED), name


def test_every_monitor_finds_a_service_with_its_port() -> None:
    """All but the API server's and kubelet's, whose Services others make."""
    objects = stand_in.chart_objects(settings())
    services = [item for item in objects if item["kind"] == "Service"]
    monitors = [item for item in objects if item["kind"] == "ServiceMonitor"]
    assert len(monitors) == 7
    for monitor in monitors:
        if monitor["metadata"]["name"].endswith(("-apiserver", "-kubelet")):
            continue
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        places = monitor["spec"].get("namespaceSelector", {}).get("matchNames", [monitor["metadata"]["namespace"]])
        found = [
            service
            for service in services
            if wanted <= service["metadata"]["labels"].items() and service["metadata"]["namespace"] in places
        ]
        assert len(found) == 1, monitor["metadata"]["name"]
        ports = {port["name"] for port in found[0]["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports
        job = monitor["spec"].get("jobLabel")
        assert job is None or job in found[0]["metadata"]["labels"]


def test_jobs_are_those_that_the_rules_name() -> None:
    objects = stand_in.chart_objects(settings())
    services = {item["metadata"]["name"]: item["metadata"]["labels"] for item in objects if item["kind"] == "Service"}
    assert services["kube-prometheus-stack-kube-state-metrics"]["app.kubernetes.io/name"] == "kube-state-metrics"
    assert services["kube-prometheus-stack-prometheus-node-exporter"]["jobLabel"] == "node-exporter"
    assert services["kube-prometheus-stack-coredns"]["jobLabel"] == "coredns"
    kubelet = of(objects, "ServiceMonitor", "kube-prometheus-stack-kubelet")["spec"]
    assert [endpoint.get("path", "/metrics") for endpoint in kubelet["endpoints"]] == [
        "/metrics",
        "/metrics/cadvisor",
        "/metrics/probes",
    ]
    for endpoint in kubelet["endpoints"]:
        assert endpoint["relabelings"][0]["targetLabel"] == "metrics_path"


def test_the_recording_has_every_counter_once() -> None:
    listed = re.findall(r"^(DCGM_\w+), (\w+),", COUNTERS.read_text(encoding="utf-8"), re.MULTILINE)
    types = re.findall(r"^# TYPE (\w+) (\w+)$", RECORDED.read_text(encoding="utf-8"), re.MULTILINE)
    samples = re.findall(r"^(DCGM_\w+){", RECORDED.read_text(encoding="utf-8"), re.MULTILINE)
    assert types == listed
    assert samples == [name for name, _ in listed]


def test_the_recording_replaces_the_exporter_and_keeps_what_finds_it() -> None:
    objects = rendered(local=True).objects
    pod = of(objects, "DaemonSet", "dcgm-exporter")["spec"]["template"]
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "dcgm-exporter"
    [container] = pod["spec"]["containers"]
    assert container["name"] == "dcgm-exporter-recorded"
    endpoint = of(objects, "PodMonitor", "dcgm-exporter")["spec"]["podMetricsEndpoints"][0]
    assert endpoint["port"] in {port["name"] for port in container["ports"]}
    assert Path(RECORDED).read_text(encoding="utf-8").startswith("# Recorded:")


def test_without_grafana_only_its_section_changes() -> None:
    config = stack_config(ROOT / "Pulumi.dev.yaml")
    changed = stand_in.without_grafana(config)
    assert {key for key in changed if changed[key] != config.get(key)} == {f"{PROJECT}:grafana"}
    assert changed[f"{PROJECT}:grafana"] == {"enabled": False}


@pytest.mark.parametrize(
    ("opens", "left"),
    [
        ({}, ["prometheus"]),
        ({"opens": ["grafana"]}, ["prometheus"]),
        ({"opens": ["grafana", "alertmanager"]}, ["alertmanager"]),
    ],
)
def test_without_grafana_no_tunnel_leads_there(opens: dict[str, Any], left: list[str]) -> None:
    config = {"observability:cloudflareTunnel": {"mode": "deploy", "tokenSecret": "token", **opens}}
    changed = stand_in.without_grafana(config)["observability:cloudflareTunnel"]
    assert changed == {"mode": "deploy", "tokenSecret": "token", "opens": left}


def test_where_an_image_of_grafana_is_missing_the_stack_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it: a pod that never starts would hold up the engine, and its probe would page for ever."""
    missing = [IMAGES["k8s-sidecar"].reference, "example.org/other:1"]
    asked: list[bool] = []

    class Running:
        mode = "real"

        def ensure_images(self, _references: list[str]) -> Brought:
            return Brought(missing=missing)

    def render(stack: str, _file: Path, *, grafana: bool = True, **_options: Any) -> manifests.Manifests:
        asked.append(grafana)
        return manifests.Manifests(stack)

    monkeypatch.setattr(up, "manifests", render)
    _, found = up._rendered("dev", Running(), LocalSecrets(Path("unused")))  # type: ignore[arg-type]
    assert (asked, found) == ([True, False], missing)
    assert list(up._said(missing)) == [
        "No image of Grafana can be had here: Grafana, its rules and the dashboards are left out.",
        "Image example.org/other:1 cannot be had here; its pods do not run.",
    ]


def test_the_engines_gpu_objects_are_replaced_by_the_recording() -> None:
    done: list[tuple[str, str]] = []

    class Running:
        def kubectl(self, *arguments: str, stdin: str) -> str:
            done.append((arguments[0], json.loads(stdin)["kind"]))
            return ""

    up._put_stand_ins(Running(), [item for item in rendered(local=True).objects if not _of_the_chart(item)])  # type: ignore[arg-type]
    assert sorted(done) == [("apply", "ConfigMap"), ("replace", "DaemonSet"), ("replace", "PodMonitor")]


def _of_the_chart(item: dict[str, Any]) -> bool:
    return bool(item["metadata"].get("labels", {}).get(stand_in.STANDS_FOR) == stand_in.CHART)


def test_kube_state_metrics_is_scraped_as_often_as_the_settings_say() -> None:
    monitor = of(stand_in.chart_objects(settings()), "ServiceMonitor", f"{addresses.CHART}-kube-state-metrics")
    assert monitor["spec"]["endpoints"] == [{"port": "http", "honorLabels": True, "interval": "15s"}]
