"""`make verify` against a fake kubectl and fake daemons: all is well, and each check by one thing that is not."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from components import probe_teams
from components.stack import select_rules
from settings import parse
from tests.unit.verify_answers import SETTINGS, Cluster, healthy, no_patience, node, pod, reconciled, results
from tools.cluster.fake_nodes import MANAGED
from tools.reach import Part
from tools.verify import delivery, logs, nodes, rules
from tools.verify.__main__ import show
from tools.verify.result import some

__all__ = ["no_patience"]


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
