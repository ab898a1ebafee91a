"""rules/overlap.yaml decides on every alert of the chart, and names only alerts that exist."""

from collections.abc import Iterator
from typing import Any

import yaml

from components import rule_files
from components.versions import CHARTS
from tests.rules.stacks import ROOT

ALERT_NAMES = 139
"""Distinct alert names of the chart in the version that the table is for."""


def table() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "rules" / "overlap.yaml").read_text(encoding="utf-8"))
    return content


def ours() -> Iterator[str]:
    for folder in ("prometheus", "loki"):
        for file in rule_files.load(ROOT / "rules" / folder):
            yield from (rule["alert"] for group in file.groups for rule in group["rules"] if "alert" in rule)


def test_table_is_for_the_chart_that_ships() -> None:
    chart = CHARTS["kube-prometheus-stack"]
    assert table()["chart"] == f"kube-prometheus-stack {chart.version}", "look at what changed among its alerts"
    assert len(table()["alerts"]) == ALERT_NAMES


def test_each_alert_of_the_chart_is_decided() -> None:
    known = set(ours())
    for name, decision in table()["alerts"].items():
        assert len(decision) == 1 and set(decision) <= {"ours", "dropped"}, name
        assert all(alert in known for alert in decision.get("ours", [])), name
        assert len(decision.get("dropped", "a reason")) >= 8, name
