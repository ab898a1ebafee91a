"""What the real operator makes of exporters, probes and annotated pods, and what a real Prometheus finds by it."""

import json
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from components import addresses
from tests.cluster.operated import (
    OPERATOR_SECONDS,
    api_proxy,
    changed_dev,
    configuration,
    deploy,
    has,
    operator,
    wait_for,
)
from tests.daemon import daemon
from tests.live.probes import daemons
from tools import cluster
from tools.binaries import find
from tools.cluster import Cluster
from tools.ports import free_ports
from tools.synth import ROOT, stack_config

DATABASE = {"address": "db.shop.svc:5432", "credentials": {"name": "login"}}
SECTIONS = {
    "exporters": {
        "postgresql": {"mode": "deploy", "servers": {"shop": DATABASE}},
        "mosquitto": {"mode": "deploy", "brokers": {"home": {"address": "mosquitto.mqtt.svc:1883"}}},
        "teslamate": {"mode": "deploy", "server": DATABASE},
    },
    "cloudflareTunnel": {"mode": "deploy", "tokenSecret": "tunnelToken"},
}
FAR = {
    "module": "http_2xx",
    "prober": "https://probe.example.net/far",
    "proberUsername": "far",
    "proberPasswordSecret": "farPassword",
    "targets": [{"service": "web", "address": "https://www.example.com/", "team": "web", "priority": "high"}],
}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster.fake(tmp_path_factory.mktemp("scrapes")) as running:
        yield running


@pytest.fixture(scope="module")
def generated(local: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Prometheus' configuration as the operator writes it, for stack dev with everything of this test added."""
    folder = tmp_path_factory.mktemp("stack")
    config = stack_config(ROOT / "Pulumi.dev.yaml")
    prometheus, blackbox = (config[f"observability:{name}"] for name in ("prometheus", "blackbox"))
    sections = SECTIONS | {
        "prometheus": {**prometheus, "annotatedPods": {"enabled": True}},
        "blackbox": {**blackbox, "probes": {**blackbox["probes"], "far": FAR}},
    }
    deploy(local, changed_dev(folder, sections))
    with operator(local, folder / "operator.log"):
        wait_for("StatefulSet", partial(has, local, f"prometheus-{addresses.PROMETHEUS}"), OPERATOR_SECONDS)
    return configuration(local, addresses.PROMETHEUS, folder)


def job(generated: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [one for one in generated["scrape_configs"] if one["job_name"] == name]
    return dict(found)


def test_exporters_are_scraped(generated: dict[str, Any]) -> None:
    for name in ("postgres-exporter-shop", "mosquitto-exporter-home", "sql-exporter-teslamate", "cloudflared"):
        assert job(generated, f"podMonitor/monitoring/{name}/0")
    relabelings = job(generated, "podMonitor/monitoring/postgres-exporter-shop/0")["relabel_configs"]
    assert {"target_label": "instance", "replacement": "db.shop.svc:5432", "action": "replace"} in relabelings


def test_a_prober_elsewhere(generated: dict[str, Any]) -> None:
    found = job(generated, "probe/monitoring/far-web")
    assert (found["scheme"], found["metrics_path"]) == ("https", "/far/probe")
    assert found["params"] == {"module": ["http_2xx"]}
    assert set(found["basic_auth"]) == {"username", "password"}
    [static] = found["static_configs"]
    labels = static["labels"]
    assert (labels["team"], labels["priority"], labels["prober"]) == ("web", "high", "probe.example.net")
    assert found["scrape_timeout"] == "11s"
    assert any(
        rule.get("target_label") == "job" and rule["replacement"] == "blackbox-http"
        for rule in found["relabel_configs"]
    )


class Page(BaseHTTPRequestHandler):
    """Metrics of a pod, home-made: without a content type."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from_an_annotated_pod 7\n" if self.path == "/own/metrics" else b"")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def served() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def make_pod(local: Cluster, folder: Path, name: str, annotations: dict[str, str]) -> None:
    """A pod of no node, whose status says that it runs at the loopback address."""
    meta = {"name": name, "namespace": "default", "annotations": annotations, "labels": {"app": name}}
    container = {"name": "c", "image": "pause", "ports": [{"containerPort": 9}]}
    # No scheduler of the cluster knows this name, so nobody else writes its status.
    spec = {"containers": [container], "schedulerName": "nobody"}
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}))
    local.kubectl("apply", "--filename", str(file))
    status = json.dumps({"status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}})
    local.kubectl(
        "patch", "pod", name, "--namespace=default", "--subresource=status", "--type=merge", "--patch", status
    )


def test_annotated_pods_are_found_and_scraped(
    local: Cluster, generated: dict[str, Any], served: int, tmp_path: Path
) -> None:
    wanted = {"prometheus.io/scrape": "true", "prometheus.io/port": str(served), "prometheus.io/path": "/own/metrics"}
    make_pod(local, tmp_path, "asks", wanted)
    make_pod(local, tmp_path, "does-not-ask", {**wanted, "prometheus.io/scrape": "false"})
    scrape = job(generated, "scrapeConfig/monitoring/annotated-pods")
    assert scrape["sample_limit"] == 20_000
    port = free_ports(1)[0]
    with api_proxy(local) as url:
        for discovery in scrape["kubernetes_sd_configs"]:
            discovery["api_server"] = url
        config = {"scrape_configs": [{**scrape, "scrape_interval": "1s", "scrape_timeout": "1s"}]}
        (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
        command = [
            find("prometheus"),
            f"--config.file={tmp_path}/prometheus.yaml",
            f"--storage.tsdb.path={tmp_path}/db",
        ]
        address = f"http://127.0.0.1:{port}"
        with daemon([*command, f"--web.listen-address=127.0.0.1:{port}"], tmp_path / "log") as alive:

            def sample() -> list[Any]:
                if not daemons.answers(f"{address}/-/ready"):
                    return []
                return list(daemons.get(f"{address}/api/v1/query", query="from_an_annotated_pod")["result"])

            seen = daemons.wait("a sample", lambda: bool(sample()), alive)
            assert seen, (
                f"{daemons.get(f'{address}/api/v1/targets', state='any')}\n{(tmp_path / 'log').read_text()[-2000:]}"
            )
            [found] = sample()
            targets = daemons.get(f"{address}/api/v1/targets")["activeTargets"]
    assert found["metric"] == {
        "__name__": "from_an_annotated_pod",
        "cluster": "dev",
        "instance": f"127.0.0.1:{served}",
        "job": "default/asks",
        "namespace": "default",
        "pod": "asks",
    }
    assert [one["labels"]["pod"] for one in targets if one["labels"]["namespace"] == "default"] == ["asks"]
