"""What a real Prometheus stores of the exporter, scraped as our monitor says: the card tests build on that."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from components.dcgm_exporter import APP, HOST_LABELS, endpoint
from settings.gpu import DcgmSettings
from tests.dashboards.daemons import Server, running_prometheus, wait
from tests.rules.gpu.cards import cards, exposition, scraped
from tools import binaries

TARGET = {"job": APP, "namespace": "monitoring-agents", "pod": f"{APP}-x", "container": APP, "cluster": "c"}
NO_POD = "no-pod"
"""A target without the label `node`, as an exporter outside the cluster is."""


class Exporters(BaseHTTPRequestHandler):
    """`/<card>` serves what the exporter shows of the card."""

    def do_GET(self) -> None:
        text = {card.name: exposition(card) for card in cards()}[self.path.strip("/").removeprefix(NO_POD)]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Has scraped every card twice: with the label `node` of its pod, and without."""
    folder = tmp_path_factory.mktemp("gpu")
    with ThreadingHTTPServer(("127.0.0.1", 0), Exporters) as exporters:
        thread = threading.Thread(target=exporters.serve_forever, daemon=True)
        thread.start()
        config = {"scrape_configs": [_scrape(f"127.0.0.1:{exporters.server_port}")]}
        with running_prometheus(binaries.find("prometheus"), folder, config) as (server, alive):
            wanted = 2 * len(cards())
            wait("the scrapes", lambda: len(_ask(server, "up == 1")) == wanted, alive)
            yield server
        exporters.shutdown()
        thread.join()


def _scrape(address: str) -> dict[str, Any]:
    """The monitor's endpoint as the operator writes it for Prometheus."""
    monitor = endpoint(DcgmSettings())
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    relabel = [{names.get(key, key): value for key, value in step.items()} for step in monitor["metricRelabelings"]]
    return {
        "job_name": APP,
        "scrape_interval": "1s",
        "honor_labels": monitor["honorLabels"],
        "metric_relabel_configs": relabel,
        "static_configs": [
            {
                "targets": [address],
                "labels": {**TARGET, "__metrics_path__": f"/{prefix}{card.name}", "instance": prefix + card.name}
                | ({} if prefix else {"node": card.raw["node"]}),
            }
            for card in cards()
            for prefix in ("", NO_POD)
        ],
    }


def _ask(server: Server, query: str) -> list[dict[str, str]]:
    return [one["metric"] for one in server.get("/api/v1/query", query=query)["result"]]


@pytest.mark.parametrize("card", cards(), ids=lambda card: card.name)
def test_prometheus_stores_what_the_card_tests_say(prometheus: Server, card: Any) -> None:
    stored = _ask(prometheus, f'{{__name__=~"DCGM_.+", instance="{card.name}"}}')
    target = {**TARGET, "instance": card.name, "node": card.raw["node"]}
    said = [{"__name__": metric, **labels} for metric, labels, _ in scraped(exposition(card), target)]
    assert sorted(stored, key=_order) == sorted(said, key=_order)


def _order(labels: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(labels.items())


def test_labels_of_target_and_workload_do_not_clash(prometheus: Server) -> None:
    [one] = _ask(prometheus, 'DCGM_FI_DEV_GPU_TEMP{instance="h100"}')
    assert (one["namespace"], one["exported_namespace"]) == ("monitoring-agents", "serving")
    assert (one["pod"], one["exported_pod"]) == (f"{APP}-x", "llama-5d7f9c-x2x4q")


def test_both_spellings_of_the_host_become_the_node(prometheus: Server) -> None:
    found = _ask(prometheus, f'DCGM_FI_DEV_GPU_TEMP{{instance=~"{NO_POD}.+"}}')
    assert {one["node"] for one in found} == {card.raw["node"] for card in cards()}
    assert not any(set(HOST_LABELS) & set(one) for one in found)
