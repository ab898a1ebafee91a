"""`make verify` on the deployed stack: all is well, and what somebody breaks is named."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from components.stack import select_rules
from settings import Settings
from tools.access import Access
from tools.cluster import node
from tools.reach import Reach
from tools.rules import stack_settings
from tools.verify import logs
from tools.verify.__main__ import as_deployed, verify
from tools.verify.result import Result

WAIT = 180.0
"""Seconds for the operator and its reloader to bring a changed rule to Prometheus, on a busy machine."""


@pytest.fixture
def cluster(stack: Access) -> Reach:
    return Reach(str(stack.running.kubeconfig))


def patch(stack: Access, kind: str, name: str, namespace: str, content: dict[str, Any]) -> None:
    arguments = ("patch", kind, name, f"--namespace={namespace}", "--type=merge")
    stack.running.kubectl(*arguments, f"--patch={json.dumps(content)}")


@pytest.fixture
def settings(stack: Access, cluster: Reach) -> Iterator[Settings]:
    """Settings as deployed, before and after with every rule as its file says: other tests of this tier change some."""
    chosen = as_deployed(stack_settings("dev"), cluster)

    def put_back() -> None:
        for file in select_rules(chosen)[0].files:
            patch(stack, "prometheusrule", file.name, "monitoring", {"spec": {"groups": file.groups}})

    put_back()
    yield chosen
    put_back()


def faults(cluster: Reach, settings: Settings, wait: float) -> dict[str, Result]:
    return {result.check: result for result in verify(settings, cluster, wait) if not result.well}


def test_a_whole_stack_is_well(cluster: Reach, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    results = list(verify(settings, cluster, WAIT))
    assert [result for result in results if not result.well] == []
    with capsys.disabled():
        print("\n".join(f"{result.check}: {result.seen}" for result in results))
    assert "Watchdog and LogsWatchdog" in results[-1].seen


def test_a_changed_rule_is_named(stack: Access, cluster: Reach, settings: Settings) -> None:
    file = select_rules(settings)[0].files[0]
    patch(stack, "prometheusrule", file.name, "monitoring", {"spec": {"groups": file.groups[1:]}})
    found = faults(cluster, settings, 0)
    assert set(found) == {"rules, Prometheus"}
    assert f"{file.name} differs from its file" in found["rules, Prometheus"].seen


def test_a_node_without_a_log_agent_is_named(
    stack: Access, cluster: Reach, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "PATIENCE_SECONDS", 10.0)
    app, namespace = settings.log_agent.program, settings.namespaces.agents
    place = {"spec": {"template": {"spec": {"nodeSelector": {"no-such-label": "true"}}}}}
    patch(stack, "daemonset", app, namespace, place)
    try:
        selected = f"--selector=app.kubernetes.io/name={app}"
        stack.running.kubectl("wait", "pods", f"--namespace={namespace}", selected, "--for=delete", "--timeout=120s")
        found = faults(cluster, settings, 0)
    finally:
        place["spec"]["template"]["spec"]["nodeSelector"] = {"no-such-label": None}  # type: ignore[dict-item]
        patch(stack, "daemonset", app, namespace, place)
        stack.running.kubectl("rollout", "status", f"daemonset/{app}", f"--namespace={namespace}", "--timeout=180s")
    assert f"not on {node.NAME}" in found["log agent on every node"].seen
    assert "was not found within" in found["a line reaches Loki"].seen
