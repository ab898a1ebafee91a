"""Rule files are valid as they lie and as they ship, and keep the conventions."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import rule_files
from components.rule_files import RuleFile, component
from components.tuning import tunables
from settings.base import seconds
from tests.rules import promtool
from tests.rules.promql import nodes, selectors
from tests.rules.stacks import ROOT, RULES, Stack, rendered, sources, stacks

SEVERITIES = {"critical", "warning", "info"}
TEAMS = {"platform", "apps", "storage", "network", "gpu"}
INTERVAL, SOON = 30, 15
SOON_BELOW = 300
"""A critical alert that waits shorter is looked at more often: of a longer wait the gain would be a small part."""
SECTIONS = ("Meaning", "Impact", "Checks", "Fix", "Escalation")
RUNBOOKS = ROOT / "runbooks"


def rules() -> list[tuple[RuleFile, dict[str, Any], dict[str, Any]]]:
    return [(file, group, rule) for file in sources() for group in file.groups for rule in group["rules"]]


def alerts() -> list[Any]:
    return [
        pytest.param(group, rule, id=f"{group['name']}-{rule['alert']}")
        for _, group, rule in rules()
        if "alert" in rule
    ]


def soon(rule: dict[str, Any]) -> bool:
    """Whether an alert's group is evaluated more often than the others."""
    if rule.get("alert") == "Watchdog":
        return True
    return rule.get("labels", {}).get("severity") == "critical" and seconds(rule.get("for", "0s")) < SOON_BELOW


def test_files_are_valid_as_they_lie() -> None:
    assert promtool.check(sorted(RULES.glob("*.yaml"))) == ""


@pytest.mark.parametrize("stack", stacks(), ids=lambda stack: stack.name)
def test_files_are_valid_as_they_ship(stack: Stack, tmp_path: Path) -> None:
    written = []
    for file in rendered(stack):
        written.append(tmp_path / f"{file.name}.yaml")
        written[-1].write_text(yaml.safe_dump({"groups": file.groups}), encoding="utf-8")
    assert promtool.check(written) == ""


@pytest.mark.parametrize(("group", "rule"), alerts())
def test_alert_keeps_the_conventions(group: dict[str, Any], rule: dict[str, Any]) -> None:
    name = rule["alert"]
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]+", name)
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert set(rule["labels"]) == {"severity", "team", "component"}, "these labels and no other, none of them templated"
    assert rule["labels"]["component"] == component(group)
    assert rule["labels"]["team"] in TEAMS
    assert rule["labels"]["severity"] in (SEVERITIES | {"none"} if name == "Watchdog" else SEVERITIES)
    assert seconds(group["interval"]) == (SOON if any(map(soon, group["rules"])) else INTERVAL)
    assert seconds(rule.get("for", "0s")) % INTERVAL == 0
    assert rule.get("for") != "0s", "leave `for` out instead"
    assert set(rule["annotations"]) == {"summary", "description"}
    assert len(rule["annotations"]["summary"]) <= 160
    assert "${cluster}" in rule["annotations"]["description"], "the description must say which cluster"
    for mark in tunables(rule["expr"]):
        assert f"${{{mark}}}" in rule["annotations"]["description"] or mark == "fallback", f"the text must say {mark}"


@pytest.mark.parametrize(("group", "rule"), alerts())
def test_joins_and_aggregations_keep_the_cluster(group: dict[str, Any], rule: dict[str, Any]) -> None:
    _keeps_cluster(rule["expr"])


def test_recordings_keep_the_cluster_and_are_named_level_metric_operations() -> None:
    for _, _, rule in rules():
        if "record" in rule:
            assert re.fullmatch(r"[a-z0-9_]+:[a-z0-9_]+:[a-z0-9_]+", rule["record"])
            _keeps_cluster(rule["expr"])


def _keeps_cluster(expr: str) -> None:
    absent = "absent(" in expr
    for node in nodes(expr):
        modifier = getattr(node, "modifier", None)
        labels = getattr(getattr(modifier, "matching", None), "labels", getattr(modifier, "labels", None))
        if labels:
            # What is absent has no labels; the cluster comes from the rule's own label.
            assert "cluster" in labels or absent, f"no cluster among {sorted(labels)} in {expr}"


def test_names_stand_once_a_component() -> None:
    seen = [(component(group), rule["alert"]) for _, group, rule in rules() if "alert" in rule]
    assert len(seen) == len(set(seen))


def test_recorded_names_exist() -> None:
    # What Loki's ruler records is written to Prometheus.
    files = [*sources(), *rule_files.load(ROOT / "rules" / "loki")]
    recorded = {
        rule["record"] for file in files for group in file.groups for rule in group["rules"] if "record" in rule
    }
    used = {s.metric for s in chain.from_iterable(selectors(rule["expr"]) for _, _, rule in rules()) if ":" in s.metric}
    assert used <= recorded


@pytest.mark.parametrize("alert", sorted({rule["alert"] for _, _, rule in rules() if "alert" in rule}))
def test_runbook_is_filled(alert: str) -> None:
    path = RUNBOOKS / f"{alert}.md"
    assert path.exists(), f"runbooks/{alert}.md is missing"
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {alert}\n")
    parts = re.split(r"^## (\w+)\n", text, flags=re.MULTILINE)[1:]
    assert tuple(parts[::2]) == SECTIONS
    for section, body in zip(parts[::2], parts[1::2], strict=True):
        assert len(body.strip()) >= 20, f"{path.name}: {section} says nothing"
    assert "```" in dict(zip(parts[::2], parts[1::2], strict=True))["Checks"], f"{path.name}: Checks has no command"
