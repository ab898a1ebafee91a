"""Faults on demand: every alert of the local stack has a cause, or a reason why not; and how a way is followed."""

import json
import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest

from settings.cluster import NamespacesSettings
from tools.access import Access
from tools.console import UserError
from tools.fire import __main__ as fire
from tools.fire import storage
from tools.fire.cause import Cause, Ground
from tools.fire.nodes import NODE_LABEL, _with
from tools.fire.table import CAUSES, WHY_NOT
from tools.fire.trail import Trail
from tools.rules import stack_settings
from tools.stand_in.dcgm import RECORDED

LINE = 'DCGM_FI_DEV_XID_ERRORS{gpu="0",err_code="0",err_msg="No Error"} 0'


@pytest.fixture(scope="module")
def shipped() -> dict[str, tuple[str, dict[str, Any]]]:
    return fire.rules(stack_settings("dev"))


def test_every_alert_has_a_cause_or_a_reason(shipped: dict[str, tuple[str, dict[str, Any]]]) -> None:
    assert set(shipped) - set(CAUSES) - set(WHY_NOT) == set()
    assert set(CAUSES) & set(WHY_NOT) == set()
    assert (set(CAUSES) | set(WHY_NOT)) - set(shipped) == set(), "the stack has no such alert"
    assert len(CAUSES) >= 40
    assert set(CAUSES) >= NODE_LABEL


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PodCrashLoping", "did you mean PodCrashLooping?"),
        ("Watchdog", "it always fires"),
        ("NFSServerNotResponding", "no alert of the stack"),
    ],
)
def test_what_cannot_be_caused_is_said(shipped: dict[str, tuple[str, dict[str, Any]]], name: str, words: str) -> None:
    with pytest.raises(UserError, match=words.replace("?", r"\?")):
        fire.check([name], shipped)


def test_the_recording_gets_a_value_and_labels() -> None:
    changed = _with(LINE, "DCGM_FI_DEV_XID_ERRORS", "79", {"err_code": "79", "err_msg": "fell off"})
    assert changed == 'DCGM_FI_DEV_XID_ERRORS{gpu="0",err_code="79",err_msg="fell off"} 79'
    assert _with(LINE, "DCGM_FI_DEV_XID", "1", {}) == LINE


class Answers:
    """Parts of a stack that answer what they are told to."""

    def __init__(self) -> None:
        self.by_path: dict[str, Any] = {}

    def read(self, _name: str, path: str) -> Any:
        return next(answer for start, answer in self.by_path.items() if path.startswith(start))


def alert(state: str, **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": "A", **labels}, "state": state, "activeAt": "2030-01-01T00:00:10.5Z", "value": "1"}


def test_a_way_is_followed_to_the_message() -> None:
    answers = Answers()
    trail = Trail("A", {}, "prometheus", {"namespace": "mine"}, began=1893456000.0)
    answers.by_path = {
        "/api/v1/alerts": {"data": {"alerts": [alert("firing", namespace="other")]}},
        "/api/v2/alerts": [],
        "/messages": {"messages": []},
    }
    assert trail.look(answers, "mine", logs=False) == []  # type: ignore[arg-type]
    answers.by_path["/api/v1/alerts"] = {"data": {"alerts": [alert("pending", namespace="mine")]}}
    assert trail.look(answers, "mine", logs=False) == ["sample", "pending"]  # type: ignore[arg-type]
    assert trail.seen["pending"][0] == 10.5
    answers.by_path["/api/v1/alerts"] = {"data": {"alerts": [alert("firing", namespace="mine")]}}
    routed = {"labels": {"alertname": "A", "namespace": "mine"}, "receivers": [{"name": "team"}]}
    answers.by_path["/api/v2/alerts"] = [{**routed, "status": {"state": "active"}}]
    delivered = {"labels": {"alertname": "A", "namespace": "mine"}, "status": "firing", "starts": ""}
    message = {"received": 1893456042.0, "channel": "webhook", "to": "team", "alerts": [delivered]}
    over = {**message, "received": 1893456020.0, "alerts": [{**delivered, "status": "resolved"}]}
    before = {**message, "received": 1893456001.0}
    answers.by_path["/messages"] = {"messages": [before, over, message]}
    assert trail.look(answers, "mine", logs=False) == ["firing", "routed", "delivered"]  # type: ignore[arg-type]
    assert trail.seen["delivered"] == (42.0, "webhook to team")
    assert trail.done


@pytest.mark.parametrize(
    ("state", "receiver", "words"), [("suppressed", "team", "it is muted"), ("active", "nobody", "no route leads on")]
)
def test_what_is_for_nobody_ends_there(state: str, receiver: str, words: str) -> None:
    answers = Answers()
    answers.by_path = {
        "/api/v1/alerts": {"data": {"alerts": [alert("firing")]}},
        "/api/v2/alerts": [
            {"labels": {"alertname": "A"}, "receivers": [{"name": receiver}], "status": {"state": state}}
        ],
    }
    trail = Trail("A", {}, "prometheus", {}, began=1893456000.0)
    trail.look(answers, "mine", logs=False)  # type: ignore[arg-type]
    assert words in trail.seen["delivered"][1]


def test_cleaning_goes_on_after_a_failed_step(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, ...]] = []

    def fails(_ground: Ground) -> None:
        raise UserError("it does not stop")

    class Recorder(Ground):
        def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
            done.append(arguments)
            return ""

    monkeypatch.setitem(CAUSES, "A", Cause("a fault", stop=fails))
    ground: Callable[..., Ground] = Recorder
    assert fire.clean("A", ground(None, "fire-a")) == ["A: it does not stop"]
    assert done[-1][:3] == ("delete", "namespace", "fire-a")


def test_each_fault_is_undone_whatever_becomes_of_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when it is told to end; and it cannot be told so while it undoes them."""
    undone: list[str] = []

    def ended(_ground: Ground) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def fails(ground: Ground) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        undone.append(ground.namespace)
        raise UserError(f"{ground.namespace} does not stop")

    causes = {"A": Cause("a fault", stop=fails), "B": Cause("a fault", start=ended, stop=fails)}
    monkeypatch.setattr(fire, "CAUSES", causes)
    before = signal.getsignal(signal.SIGTERM)
    rule: tuple[str, dict[str, Any]] = ("prometheus", {"annotations": {}})
    try:
        # As tools.console.run does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with pytest.raises(KeyboardInterrupt):
            fire.fire(["A", "B"], ground_on(Node()).access, dict.fromkeys("AB", rule))
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert undone == ["fire-b", "fire-a"]
    said = capsys.readouterr().err
    assert "not undone: B: fire-b does not stop\nnot undone: A: fire-a does not stop\n" in said
    assert "Cleaned up" not in said


def test_what_could_not_be_undone_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_ground: Ground) -> None:
        raise KeyError("name")

    monkeypatch.setattr(fire, "CAUSES", {"A": Cause("a fault", stop=fails)})
    monkeypatch.setattr(fire, "follow", lambda *_: None)
    rule: tuple[str, dict[str, Any]] = ("prometheus", {"annotations": {}})
    with pytest.raises(UserError, match="not all that was caused could be undone"):
        fire.fire(["A"], ground_on(Node()).access, {"A": rule})


class Node:
    """A running cluster that notes what is asked of it; its node is not called as that of other clusters."""

    node = "any-control-plane"

    def __init__(self) -> None:
        self.applied: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.on_node: list[str] = []

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        self.asked += [" ".join(arguments)]
        self.applied += [json.loads(stdin)] if stdin else []
        return json.dumps({"data": {"metrics": RECORDED.read_text()}}) if "configmap" in arguments else ""

    def run_on_node(self, *command: str) -> str:
        self.on_node.append(" ".join(command))
        return ""


def ground_on(running: Node) -> Ground:
    namespaces = NamespacesSettings(main="observing", agents="observing-agents")
    return Ground(Access(running, {}, "", "", namespaces), "fire-a")  # type: ignore[arg-type]


def test_the_namespaces_are_those_of_the_stack() -> None:
    running = Node()
    ground = ground_on(running)
    for alert in CAUSES:
        fire.start(alert, ground)
        fire.clean(alert, ground)
    written = "\n".join([*running.asked, json.dumps(running.applied)])
    assert {"--namespace=observing", "--namespace=observing-agents"} <= set(written.split())
    assert "blackbox-exporter.observing.svc" in written
    assert not re.search(r"monitoring(?!\.coreos)|{main}|{namespace}", written)


def test_a_volume_lies_on_the_node_that_runs_containers_whatever_made_it() -> None:
    running = Node()
    ground = ground_on(running)
    storage.fill(ground)
    [volume, claim] = running.applied
    [term] = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "kubernetes.io/hostname", "operator": "In", "values": [running.node]}]
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    storage.remove_volume(ground)
    assert [f"mount -t tmpfs -o size={storage.FULL_SIZE}" in command for command in running.on_node] == [True, False]
    assert f"umount {storage.FULL}" in running.on_node[1]


def test_an_evicted_pod_is_on_a_node_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster by kind has no fake nodes."""
    running = Node()
    monkeypatch.setattr(fire, "CAUSES", {"PodEvicted": CAUSES["PodEvicted"]})
    fire.start("PodEvicted", ground_on(running))
    found = {item["kind"]: item for item in running.applied}
    assert found["Pod"]["spec"]["nodeName"] == found["Node"]["metadata"]["name"] == "fire-a"
