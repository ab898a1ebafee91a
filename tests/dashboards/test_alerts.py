"""What a dashboard says of an alert is what the rule file says.

A panel that shows the quantity of an alert names it in `alertThresholds` (Grafana does not read that key): the alert,
the name of the number in the rule's `# tune` comment, the threshold step that must equal it; for a table its column.
"""

import re

import pytest

from settings.alerts import AlertSettings
from tests.dashboards.model import Panel, dashboards, panels
from tests.dashboards.rules import tunes

# (unit in the rule, unit of the panel) that count in the same measure: components/dashboard_files.py puts tuned values
# in as they are.
SAME_MEASURE = {
    ("celsius", "celsius"),
    ("percent", "percent"),
    ("ratio", "percentunit"),
    ("seconds", "s"),
    ("seconds", "dtdurations"),
    ("bytes", "bytes"),
    ("per_second", "cps"),
    ("per_second", "suffix: lines/s"),
}
WITH_ALERT = [panel for panel in panels() if "alertThresholds" in panel.raw]


@pytest.mark.parametrize("panel", WITH_ALERT, ids=lambda p: p.name)
def test_threshold_is_that_of_the_alert(panel: Panel) -> None:
    known = tunes()
    for entry in panel.raw["alertThresholds"]:
        assert entry["alert"] in known, f"no rule file has {entry['alert']}"
        tune = known[entry["alert"]].get(entry["tune"])
        assert tune, f"{entry['alert']} has no # tune {entry['tune']}"
        properties = panel.properties(entry.get("column"))
        step = properties["thresholds"]["steps"][entry["step"]]
        assert (tune.unit, properties["unit"]) in SAME_MEASURE
        assert step["value"] == pytest.approx(tune.value), entry["alert"]
    columns = [entry.get("column") for entry in panel.raw["alertThresholds"]]
    assert len(set(columns)) == len(columns), "two alerts would move the same steps"


@pytest.mark.parametrize("panel", WITH_ALERT, ids=lambda p: p.name)
def test_panel_links_to_the_runbook_of_its_alert(panel: Panel) -> None:
    linked = {link["url"] for link in panel.raw["links"]}
    for entry in panel.raw["alertThresholds"]:
        assert f"${{runbook_base_url:raw}}/{entry['alert']}.md" in linked


def test_runbook_links_name_alerts() -> None:
    known = set(tunes()) | {"${__data"}  # the alert of a table row
    for dashboard in dashboards():
        named = set(re.findall(r"\$\{runbook_base_url:raw\}/([^./]+)\.", dashboard.text))
        assert named <= known, f"{dashboard.uid}: {sorted(named - known)}"


def test_runbooks_are_where_the_settings_say() -> None:
    """The variable holds the default; a stack with another `alerts.runbooksUrl` replaces it."""
    for dashboard in dashboards():
        if "runbook_base_url" in dashboard.variables:
            assert dashboard.variables["runbook_base_url"]["query"] == AlertSettings().runbooks_url


def test_a_dashed_line_is_an_alert_or_a_goal() -> None:
    """A graph draws its threshold as a line: a reader takes it for the alert's. These are goals of another kind."""
    goals = {
        ("monitoring-stack", "Loki query latency p95"),
        ("monitoring-stack", "Slowest rule groups"),
        ("loki-promtail", "Request time, 95th percentile"),
        ("loki-promtail", "Time of rule groups"),
    }
    lines = {panel.key for panel in panels() if "thresholdsStyle" in panel.defaults.get("custom", {})}
    assert lines - {panel.key for panel in WITH_ALERT} == goals
