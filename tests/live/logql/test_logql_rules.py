"""The LogQL rule files: valid, within the conventions, cheap, and each alert with its cases and runbook."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import loki_config, rule_files, running
from components.rule_files import RuleFile, component
from components.tuning import tunables, tune
from settings.base import seconds
from tests.live.logql import stack
from tests.live.logql.cases import LEFT_OUT, alerts, cases
from tests.live.logql.logql import is_broad, selectors, windows
from tools import binaries

STACKS = sorted(path.name.split(".")[1] for path in stack.ROOT.glob("Pulumi.*.yaml"))
TEAMS = {"platform", "apps", "storage", "network", "gpu"}
SECTIONS = ["Meaning", "Impact", "Checks", "Fix", "Escalation"]
MINUTE = 60


def written(evaluator: str = "loki") -> list[Any]:
    return [
        pytest.param(group, rule, id=rule.get("alert", rule.get("record")))
        for file in stack.sources(evaluator)
        for group in file.groups
        for rule in group["rules"]
    ]


def shipped(name: str) -> list[RuleFile]:
    settings = stack.settings(name)
    files = stack.sources("loki")
    return rule_files.build(files, settings.alerts, running.running(settings), settings.cluster.name).files


def lokitool(files: list[Path]) -> str:
    """What lokitool has against the files, or nothing."""
    tool, found = binaries.find("lokitool"), ""
    for command in (["check", "--strict"], ["lint", "--dry-run"]):
        done = subprocess.run([tool, "rules", *command, *files], capture_output=True, text=True, check=False)
        found += done.stdout + done.stderr if done.returncode else ""
    return found


def test_files_are_valid_as_they_lie() -> None:
    assert lokitool(sorted((stack.ROOT / "rules" / "loki").glob("*.yaml"))) == ""


@pytest.mark.parametrize("name", STACKS)
def test_files_are_valid_as_they_ship(name: str, tmp_path: Path) -> None:
    assert lokitool(stack.write(shipped(name), tmp_path)) == ""


def test_files_are_valid_when_every_value_is_tuned(tmp_path: Path) -> None:
    tuned = []
    for file in stack.sources("loki"):
        for rule in (rule for group in file.groups for rule in group["rules"] if "alert" in rule):
            changed = tune(rule["expr"], {mark.name: mark.value + 1234 for mark in tunables(rule["expr"]).values()})
            for mark in tunables(rule["expr"]).values():
                assert tunables(changed)[mark.name].value == mark.value + 1234
            tuned.append({**rule, "expr": changed})
    files = [RuleFile("tuned", [{"name": "tuned", "rules": tuned}])]
    assert lokitool(stack.write(files, tmp_path)) == ""


@pytest.mark.parametrize("name", STACKS)
def test_loki_accepts_its_configuration(name: str, tmp_path: Path) -> None:
    config = tmp_path / "loki.yaml"
    config.write_text(yaml.safe_dump(loki_config.config(stack.settings(name))), encoding="utf-8")
    command = [str(binaries.find("loki")), "-verify-config", "-config.expand-env=true", f"-config.file={config}"]
    environment = {"POD_IP": "10.0.0.1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("group", "rule"), [p for p in written() if "alert" in p.values[1]])
def test_alert_keeps_the_conventions(group: dict[str, Any], rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert set(rule["labels"]) == {"severity", "team", "component"}
    assert rule["labels"]["component"] == component(group)
    assert rule["labels"]["team"] in TEAMS
    assert (rule["labels"]["severity"] == "none") == (rule["alert"] == "LogsWatchdog")
    assert seconds(group["interval"]) % 15 == 0
    assert seconds(rule.get("for", "0s")) % seconds(group["interval"]) == 0
    assert set(rule["annotations"]) == {"summary", "description"}
    assert len(rule["annotations"]["summary"]) <= 160
    assert "${cluster}" in rule["annotations"]["description"]
    for mark in tunables(rule["expr"]):
        assert f"${{{mark}}}" in rule["annotations"]["description"], f"the text must say {mark}"
    if selectors(rule["expr"]) and "absent_over_time" not in rule["expr"]:
        assert re.search(r"(sum|max) by \(cluster, ", rule["expr"]), "the result must keep the cluster"


@pytest.mark.parametrize(("group", "rule"), written())
def test_no_line_of_many_containers_is_read_twice(group: dict[str, Any], rule: dict[str, Any]) -> None:
    broad = any(is_broad(selector) for selector in selectors(rule["expr"]))
    if broad:
        assert max(windows(rule["expr"])) <= seconds(group["interval"]), "record it in a window as long as the interval"


@pytest.mark.parametrize(("group", "rule"), written())
def test_filters_are_cheap(group: dict[str, Any], rule: dict[str, Any]) -> None:
    """A literal comes before anything that is slow, and nothing asks for both cases."""
    expr = rule["expr"]
    assert "(?i)" not in expr
    for slow in ("|~", "!~ `", "| json", "| regexp", "| label_format"):
        if slow in expr:
            assert "|=" in expr[: expr.index(slow)], f"{slow} stands before the first literal filter"


@pytest.mark.parametrize(("group", "rule"), written())
def test_broad_rules_leave_out_loki_events_and_senders(group: dict[str, Any], rule: dict[str, Any]) -> None:
    """Loki logs the text of each query, and so would be found by it; events and senders have rules of their own."""
    for selector in selectors(rule["expr"]):
        if is_broad(selector):
            left_out = {m.label: re.compile(m.value) for m in selector if m.op == "!~"}
            for label, value in LEFT_OUT:
                assert left_out[label].fullmatch(value)
            assert not left_out["app"].fullmatch("central-api")


@pytest.mark.parametrize(("group", "rule"), [p for p in written() if "record" in p.values[1]])
def test_recording_is_used_once_by_an_alert_of_its_component(group: dict[str, Any], rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"namespace_(container|pod):log_[a-z0-9_]+:count1m", rule["record"])
    assert seconds(group["interval"]) == MINUTE
    assert windows(rule["expr"]) == [MINUTE]
    assert "sum by (cluster, namespace, " in rule["expr"]
    users = [alert for alert in stack.log_alerts().values() if rule["record"] in alert["expr"]]
    assert [component({"name": alert["group"]}) for alert in users] == [component(group)]


def test_every_recorded_name_exists() -> None:
    recorded = {rule["record"] for _, rule in (p.values for p in written()) if "record" in rule}
    used = {
        name for alert in stack.log_alerts().values() for name in re.findall(r"\bnamespace_\w+:\w+:\w+", alert["expr"])
    }
    assert used == recorded


@pytest.mark.parametrize("name", sorted(stack.log_alerts()))
def test_alert_has_a_firing_and_a_silent_case(name: str) -> None:
    found = [case for case in cases() if case.alert.name == name]
    assert any(case.fires for case in found), f"no case of {name} fires: add it under tests/live/logql/cases"
    if name != "LogsWatchdog":
        assert any(not case.fires for case in found), (
            f"no case of {name} is silent: add it under tests/live/logql/cases"
        )


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_rule_is_what_the_case_says(alert: Any) -> None:
    assert alert.name in stack.log_alerts(), "no rule file has this alert"
    rule = stack.log_alerts()[alert.name]
    numbers = {mark.name: mark.value for mark in tunables(rule["expr"]).values()}
    assert alert.rule == {**rule["labels"], **({"for": rule["for"]} if "for" in rule else {}), **numbers}


def test_names_of_cases_are_unique() -> None:
    names = [case.name for case in cases()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted(stack.log_alerts()))
def test_runbook_is_filled(name: str) -> None:
    path = stack.ROOT / "runbooks" / f"{name}.md"
    assert path.exists(), f"runbooks/{name}.md is missing"
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    parts = re.split(r"^## (\w+)\n", text, flags=re.MULTILINE)[1:]
    assert parts[::2] == SECTIONS
    assert all(len(body.strip()) >= 20 for body in parts[1::2])
    assert "```" in parts[5]
