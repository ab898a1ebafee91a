"""A healthy cluster for `make verify`: what kubectl and the daemons answer, all of it by this process."""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from components.stack import select_dashboards, select_rules
from settings import Settings, parse
from tools.reach import Part, Reach
from tools.verify import logs
from tools.verify.__main__ import verify
from tools.verify.operator import GROUP
from tools.verify.result import Result

SETTINGS = parse(
    {
        "cluster": {"name": "edge", "distribution": "k3s", "context": "edge"},
        "alertmanager": {"heartbeat": {"urlSecret": "a", "logsUrlSecret": "b"}},
    },
    "Pulumi.edge.yaml",
    check_secrets=False,
)
NO_TAINT: list[dict[str, str]] = []


def node(name: str, taints: list[dict[str, str]] = NO_TAINT, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", **labels}}, "spec": {"taints": taints}}


def pod(name: str, where: str = "n1", ready: str = "True", namespace: str = "monitoring") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"nodeName": where},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }


def loaded(selection: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": group["name"],
            "rules": [{"name": rule.get("alert") or rule["record"], "health": "ok"} for rule in group["rules"]],
        }
        for file in selection.files
        for group in file.groups
    ]


def reconciled(status: str, generation: int = 3, **more: str) -> dict[str, Any]:
    condition = {"type": "Reconciled", "status": status, "observedGeneration": 3, **more}
    return {"metadata": {"name": "p", "generation": generation}, "status": {"conditions": [condition]}}


@dataclass
class Cluster:
    """Everything that the checks look at; a test breaks one thing of it."""

    nodes: list[dict[str, Any]]
    pods: list[dict[str, Any]]
    rule_objects: list[dict[str, Any]]
    prometheus: list[dict[str, Any]]
    loki: list[dict[str, Any]]
    targets: list[dict[str, str]]
    boards: list[dict[str, Any]]
    operated: list[dict[str, Any]] = field(default_factory=lambda: [reconciled("True")])
    receivers: dict[str, str] = field(
        default_factory=lambda: {"Watchdog": "heartbeat", "LogsWatchdog": "heartbeat-logs"}
    )
    line_after: int = 2
    """The query that finds the line."""
    beats: float = 2
    """Notifications that leave between two looks."""
    failures: float = 0
    seen: Counter[str] = field(default_factory=Counter)

    def answer(self, path: str, query: Mapping[str, list[str]]) -> Any:
        self.seen[path] += 1
        times = self.seen[path]
        labels = '{integration="webhook"}'
        found = times >= self.line_after > 0
        boards = [json.loads(text)["uid"] for item in self.boards for text in item["data"].values()]
        receiver = self.receivers.get(query.get("filter", ['="?"'])[0].split('"')[1])
        answers: dict[str, Any] = {
            "/api/v1/rules": {"data": {"groups": self.prometheus}},
            "/api/v1/query": {"data": {"result": []}},
            "/prometheus/api/v1/rules": {"data": {"groups": self.loki}},
            "/api/v1/targets": {"data": {"activeTargets": self.targets}},
            "/loki/api/v1/query_range": {"data": {"result": ["line"] if found else []}},
            "/api/v2/alerts": [{"receivers": [{"name": receiver}], "status": {"state": "active"}}] if receiver else [],
            "/api/search": [{"uid": uid} for uid in boards],
            "/metrics": f"alertmanager_notifications_total{labels} {times * self.beats}\n"
            f"alertmanager_notifications_failed_total{labels} {times * self.failures}\n"
            'alertmanager_notifications_total{integration="email"} 7\n',
        }
        return answers[path]


def healthy() -> Cluster:
    prometheus, loki = select_rules(SETTINGS)
    agents = [pod(f"promtail-{name}", name, namespace="monitoring-agents") for name in ("n1", "n2")]
    return Cluster(
        nodes=[
            node("n1"),
            node("n2", [{"key": "gpu", "effect": "NoSchedule"}]),
            node("w", NO_TAINT, **{"kubernetes.io/os": "windows"}),
        ],
        pods=[*agents, pod("loki-0")],
        rule_objects=[{"metadata": {"name": file.name}, "spec": {"groups": file.groups}} for file in prometheus.files],
        prometheus=[*loaded(prometheus), {"name": "the chart's own", "rules": [{"name": "a:b", "health": "ok"}]}],
        loki=loaded(loki),
        targets=[{"scrapePool": "serviceMonitor/monitoring/loki/0", "health": "up", "lastError": ""}],
        boards=[{"data": {f"{board.name}.json": board.text}} for board in select_dashboards(SETTINGS).shipped],
    )


class FakeReach(Reach):
    """kubectl's answers from a `Cluster`; forwarded ports lead to one server that is all daemons."""

    def __init__(self, cluster: Cluster, url: str) -> None:
        super().__init__(context="edge")
        object.__setattr__(self, "cluster", cluster)
        object.__setattr__(self, "url", url)

    def get(self, *arguments: str) -> Any:
        cluster: Cluster = self.cluster  # type: ignore[attr-defined]
        match arguments[0]:
            case "secret":
                return {"data": dict.fromkeys(("username", "password", "admin-user", "admin-password"), "eA==")}
            case "pods":
                namespace = arguments[1].removeprefix("--namespace=")
                return {"items": [item for item in cluster.pods if item["metadata"]["namespace"] == namespace]}
            case "services":
                return {"items": [{}]}
        items = {"nodes": cluster.nodes, f"prometheusrules.{GROUP}": cluster.rule_objects, "configmaps": cluster.boards}
        items |= {f"prometheuses.{GROUP}": cluster.operated, f"alertmanagers.{GROUP}": []}
        return {"items": items[arguments[0]]}

    @contextmanager
    def forward(self, name: str, namespace: str, target: str, port: int, headers: Mapping[str, str]) -> Iterator[Part]:
        yield Part(name, self.url, headers)  # type: ignore[attr-defined]


@contextmanager
def daemons(cluster: Cluster) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            answer = cluster.answer(parts.path, parse_qs(parts.query))
            body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def results(cluster: Cluster, settings: Settings = SETTINGS) -> dict[str, Result]:
    with daemons(cluster) as url:
        return {result.check: result for result in verify(settings, FakeReach(cluster, url), wait=0)}


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.verify.__main__.BEAT_SECONDS", 0)
    monkeypatch.setattr(logs, "PATIENCE_SECONDS", 0.5)
