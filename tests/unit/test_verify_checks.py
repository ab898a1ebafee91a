"""`make verify` against a fake kubectl and fake daemons: all is well, and each check by one thing that is not."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from components import probe_teams
from components.stack import select_dashboards, select_rules
from settings import Settings, parse
from tools.cluster.fake_nodes import MANAGED
from tools.console import UserError
from tools.reach import Part, Parts, Reach, reach
from tools.verify import delivery, logs, nodes, rules
from tools.verify.__main__ import show, verify
from tools.verify.operator import GROUP
from tools.verify.result import Result, some

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


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    found = results(healthy())
    assert [result for result in found.values() if not result.well] == []
    assert list(found) == [
        "pods",
        "log agent on every node",
        "operator",
        "a line reaches Loki",
        "rules, Prometheus",
        "rules, Loki",
        "targets",
        "dashboards",
        "heartbeat",
    ]
    assert "2 of 2 nodes" in found["log agent on every node"].seen
    show("edge", list(found.values()))
    assert "9 checks, all well." in capsys.readouterr().out


def older(cluster: Cluster) -> None:
    cluster.rule_objects[0] = json.loads(json.dumps(cluster.rule_objects[0]))
    cluster.rule_objects[0]["spec"]["groups"][0]["rules"][0]["for"] = "99m"


def set_(name: str, value: Any) -> Callable[[Cluster], None]:
    return lambda cluster: setattr(cluster, name, value)


BROKEN: dict[str, tuple[Callable[[Cluster], Any], str, str]] = {
    "a pod": (lambda c: c.pods.append(pod("grafana-1", ready="False")), "pods", "not monitoring/grafana-1"),
    "no pod": (lambda c: c.pods.clear(), "pods", "there is no pod at all"),
    "an agent": (lambda c: c.pods.pop(0), "log agent on every node", "1 of 2 nodes; not on n1"),
    "a certificate that is none": (
        set_("operated", [reconciled("False", message="remoteWrite[0]: failed to decode PEM block")]),
        "operator",
        "prometheuses/p: remoteWrite[0]: failed to decode PEM block",
    ),
    "an operator that stands still": (
        set_("operated", [reconciled("True", 4)]),
        "operator",
        "not seen its last change",
    ),
    "an operator that never ran": (
        set_("operated", [{"metadata": {"name": "p"}}]),
        "operator",
        "prometheuses/p: the operator has not seen it",
    ),
    "nothing for the operator": (set_("operated", []), "operator", "no object of prometheuses or alertmanagers"),
    "no line": (set_("line_after", 0), "a line reaches Loki", "not found within"),
    "a group": (lambda c: c.prometheus.pop(0), "rules, Prometheus", "is not loaded"),
    "a rule": (lambda c: c.prometheus[0]["rules"].pop(0), "rules, Prometheus", "lacks"),
    "a rule too many": (
        lambda c: c.loki[0]["rules"].append({"name": "Old", "health": "ok"}),
        "rules, Loki",
        "also has Old",
    ),
    "an old group": (lambda c: c.loki.append({"name": "old", "rules": []}), "rules, Loki", "group old is in no file"),
    "another threshold": (older, "rules, Prometheus", "differs from its file"),
    "a file that is gone": (
        lambda c: c.rule_objects.append({"metadata": {"name": "gone"}, "spec": {"groups": []}}),
        "rules, Prometheus",
        "gone is in no file",
    ),
    "an evaluation": (
        lambda c: c.prometheus[0]["rules"][0].update(health="err", lastError="many-to-many"),
        "rules, Prometheus",
        "fails: many-to-many",
    ),
    "a target": (lambda c: c.targets[0].update(health="down", lastError="refused"), "targets", "(refused)"),
    "no target": (lambda c: c.targets.clear(), "targets", "no target at all"),
    "a dashboard": (lambda c: c.boards.pop(0), "dashboards", "has no ConfigMap"),
    "another dashboard": (
        lambda c: c.boards[0]["data"].update({next(iter(c.boards[0]["data"])): '{"uid": "x"}'}),
        "dashboards",
        "differs from its file",
    ),
    "no Watchdog": (set_("receivers", {}), "heartbeat", "does not have the alert Watchdog"),
    "another route": (set_("receivers", {"Watchdog": "nobody"}), "heartbeat", "Watchdog is not routed to heartbeat"),
    "no beat": (set_("beats", 0), "heartbeat", "0 notifications were accepted"),
    "a refused beat": (set_("failures", 1), "heartbeat", "1 failed"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_one_broken_thing_is_named(fault: str) -> None:
    cluster = healthy()
    change, check, words = BROKEN[fault]
    change(cluster)
    found = results(cluster)
    assert words in found[check].seen
    assert not found[check].well
    assert found[check].todo
    others = {name for name, result in found.items() if not result.well} - {check}
    # Without pods there is no agent either.
    assert others <= ({"log agent on every node"} if fault == "no pod" else set())


def test_what_needs_containers_does_not_apply_to_fake_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    cluster = healthy()
    cluster.line_after, cluster.targets = 0, []
    one, *others = cluster.nodes
    one["metadata"]["annotations"] = {MANAGED: "fake"}
    assert not results(cluster)["targets"].well, "one fake node among others changes nothing"
    for other in others:
        other["metadata"]["annotations"] = {MANAGED: "fake"}
    found = results(cluster)
    assert {name for name, result in found.items() if not result.applies} == {"a line reaches Loki", "targets"}
    assert all(result.well for result in found.values())
    show("edge", list(found.values()))
    said = capsys.readouterr().out
    assert "7 checks, all well; 2 not applicable." in said
    assert "not applicable" in said.partition("targets")[2].partition("\n")[0]


def test_teams_of_probe_targets_are_no_difference() -> None:
    """Where the stack file names a team, rules of probes ship with another label than their file has."""
    targets = [{"service": "shop", "address": "https://shop.example.com", "team": "shop"}]
    blackbox = {"probes": {"shop": {"module": "http_2xx", "targets": targets}}}
    alertmanager = SETTINGS.alertmanager.model_dump(by_alias=True)
    sections = {"cluster": {"name": "edge", "distribution": "k3s"}, "alertmanager": alertmanager}
    chosen = parse({**sections, "blackbox": blackbox}, "x", check_secrets=False)
    cluster = healthy()
    shipped = probe_teams.by_target(select_rules(chosen)[0], chosen)
    cluster.rule_objects = [
        {"metadata": {"name": file.name}, "spec": {"groups": file.groups}} for file in shipped.files
    ]
    assert results(cluster, chosen)["rules, Prometheus"].well


def test_a_slow_line_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "GOAL_SECONDS", -1)
    assert not results(healthy())["a line reaches Loki"].well


def test_without_a_heartbeat_that_is_said() -> None:
    alertmanager = SETTINGS.alertmanager.model_dump(by_alias=True) | {"heartbeat": "none"}
    sections = {"cluster": {"name": "edge", "distribution": "k3s"}, "alertmanager": alertmanager}
    found = results(healthy(), parse(sections, "x", check_secrets=False))["heartbeat"]
    assert found.well
    assert "nothing outside watches" in found.seen


def test_counters_by_receiver_count_the_heartbeats_alone() -> None:
    lines = [
        'alertmanager_notifications_total{integration="webhook",receiver_name="heartbeat"} 3',
        'alertmanager_notifications_total{integration="webhook",receiver_name="heartbeat-logs"} 4',
        'alertmanager_notifications_total{integration="webhook",receiver_name="team"} 50',
    ]

    class Fixed(Part):
        def text(self, path: str) -> str:
            return "\n".join(lines)

    assert delivery.sent([Fixed("a", ""), Fixed("b", "")]) == (14, 0)


def test_nodes_that_should_have_an_agent() -> None:
    taint = [{"key": "a", "value": "b", "effect": "NoExecute"}]
    spec = {"nodeSelector": {"x": "1"}, "tolerations": [{"key": "a", "operator": "Equal", "value": "b"}]}
    assert nodes.should_have([node("n1", taint, x="1"), node("n2", x="2"), node("n3", x="1")], spec) == ["n1", "n3"]
    other = [{"key": "a", "value": "c", "effect": "NoSchedule"}]
    assert nodes.should_have([node("n1", other, x="1")], spec) == []
    soft = [{"key": "a", "value": "c", "effect": "PreferNoSchedule"}]
    assert nodes.should_have([node("n1", soft, x="1")], spec) == ["n1"]


def test_two_rules_of_a_name_are_two() -> None:
    assert rules.differences({"g": Counter("AA")}, {"g": Counter("A")}) == ["group g lacks A"]


def test_long_lists_are_cut() -> None:
    assert some(list("abcdefg")) == "a, b, c, d, e and 2 more"


KUBECTL = """#!/bin/sh
case "$*" in
  *version*) echo 'Client Version: v{release}';;
  *"get namespace"*) echo 'error: context "nowhere" does not exist' >&2; exit 1;;
  *forward*service/there*) echo 'Forwarding from 127.0.0.1:{port} -> 8080'; exec sleep 600;;
  *forward*) echo 'error: pods "x" is forbidden: cannot create resource "pods/portforward"' >&2; exit 1;;
  *"get secret"*) echo '{{"data": {{"username": "bWU=", "password": "bWluZQ=="}}}}';;
esac
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    from tools.binaries import TOOLS  # noqa: PLC0415

    program = tmp_path / "kubectl"
    with daemons(healthy()) as url:
        program.write_text(KUBECTL.format(release=TOOLS["kubectl"].release, port=url.rsplit(":", 1)[1]))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        yield program


@pytest.mark.usefixtures("kubectl")
def test_a_forwarded_port_is_read_and_closed() -> None:
    with Reach(context="edge").forward("Loki", "monitoring", "service/there", 8080, {}) as part:
        assert part.read("/api/v1/targets")["data"]["activeTargets"]


@pytest.mark.usefixtures("kubectl")
def test_loki_is_asked_with_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.addresses.LOKI_GATEWAY", "there")
    with ExitStack() as opened:
        part = Parts(Reach(), SETTINGS, opened).loki()
        assert part.headers == {"Authorization": "Basic bWU6bWluZQ=="}
        assert "bWU6bWluZQ" not in " ".join(map(str, [part.url, part.name]))


@pytest.mark.usefixtures("kubectl")
def test_what_kubectl_says_is_the_message() -> None:
    with pytest.raises(UserError, match=r'no port leads to Loki: error: pods "x" is forbidden'):
        Reach().forward("Loki", "monitoring", "service/not-there", 8080, {}).__enter__()
    with pytest.raises(UserError, match=r'kubectl get namespace monitoring: error: context "nowhere" does not exist'):
        Reach(context="nowhere").get("namespace", "monitoring")


def test_a_part_that_is_silent_is_named() -> None:
    with pytest.raises(UserError, match="Loki does not answer at"):
        Part("Loki", "http://127.0.0.1:9").read("/")


def test_without_a_local_cluster_it_is_said(tmp_path: Path) -> None:
    sections = {"cluster": {"name": "dev", "distribution": "local"}, "alertmanager": {"heartbeat": "none"}}
    with pytest.raises(UserError, match="start it by: make up"):
        reach(parse(sections, "x"), tmp_path)
    assert reach(SETTINGS, tmp_path) == Reach(None, "edge")
