"""Each dashboard file: its name, its layout, its grid, its links."""

import json
import re
from itertools import combinations
from typing import Any
from urllib.parse import unquote

import pytest

from tests.dashboards.layout import layout
from tests.dashboards.model import FOLDER, VARIABLE, Dashboard, Panel, dashboards, panels

MAX_BYTES = 900 * 1024  # a ConfigMap holds 1 MiB
MAX_PANELS = 25
STATS = {"stat", "gauge"}
KEYS = [
    *("title", "uid", "id", "description", "tags", "editable", "schemaVersion", "graphTooltip", "timezone", "time"),
    *("refresh", "links", "annotations", "templating", "panels"),
]
each_dashboard = pytest.mark.parametrize("dashboard", dashboards(), ids=lambda d: d.path.stem)
each_panel = pytest.mark.parametrize("panel", list(panels()), ids=lambda p: p.name)


def test_there_are_dashboards() -> None:
    assert len(dashboards()) >= 18


@each_dashboard
def test_file(dashboard: Dashboard) -> None:
    assert dashboard.text == layout(dashboard.raw) + "\n", "run: python -m tests.dashboards.layout"
    assert list(dashboard.raw) == KEYS
    assert dashboard.uid == dashboard.path.stem
    assert len(dashboard.uid) <= 40, "Grafana allows 40 characters"
    assert len(dashboard.text.encode()) < MAX_BYTES
    assert "__inputs" not in dashboard.raw


def test_titles_and_uids_are_unique() -> None:
    for key in ("uid", "title"):
        values = [dashboard.raw[key] for dashboard in dashboards()]
        assert len(set(values)) == len(values)


@each_dashboard
def test_head(dashboard: Dashboard) -> None:
    raw = dashboard.raw
    assert raw["id"] is None, "Grafana gives the number"
    assert raw["schemaVersion"] >= 39
    assert raw["title"]
    assert len(raw["description"]) > 40
    assert raw["time"] == {"from": "now-6h", "to": "now"}
    assert raw["refresh"] == "1m"
    assert raw["tags"][0] == "observability"
    (link,) = raw["links"]
    assert link["type"] == "dashboards"
    assert link["tags"] == ["observability"]


@each_dashboard
def test_alerts_are_annotations(dashboard: Dashboard) -> None:
    annotation = next(a for a in dashboard.raw["annotations"]["list"] if a["name"] == "Firing alerts")
    assert annotation["enable"] is True
    assert annotation["expr"].startswith("ALERTS{")


@each_dashboard
def test_panels_fit_the_grid(dashboard: Dashboard) -> None:
    assert len(dashboard.panels) <= MAX_PANELS
    numbers = [panel["id"] for panel in dashboard.raw["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
    cells = [panel["gridPos"] for panel in dashboard.raw["panels"]]
    assert all(cell["x"] >= 0 and cell["x"] + cell["w"] <= 24 for cell in cells)
    for one, other in combinations(cells, 2):
        assert not _overlap(one, other), (one, other)


@each_panel
def test_panel_is_wide_enough(panel: Panel) -> None:
    """A column is 50 pixels at 1280 and 77 at 1920."""
    small = panel.raw["type"] in STATS
    assert panel.raw["gridPos"]["w"] >= (4 if small else 8)
    assert panel.raw["gridPos"]["h"] >= (4 if small else 6)


@each_dashboard
def test_titles_are_unique_in_a_dashboard(dashboard: Dashboard) -> None:
    titles = [panel.title for panel in dashboard.panels]
    assert len(set(titles)) == len(titles)


@each_dashboard
def test_links_lead_somewhere(dashboard: Dashboard) -> None:
    known = {other.uid for other in dashboards()}
    for url in _urls(dashboard.raw["panels"]):
        if match := re.match(r"/d/([\w-]+)", url):
            assert match[1] in known, url
            # The other one opens for the same cluster.
            assert "${cluster:queryparam}&" in url or "var-cluster=${" in url, url
        else:
            assert url.startswith(("/explore?schemaVersion=1&", "${runbook_base_url:raw}/")), url


@each_dashboard
def test_variables_of_texts_exist(dashboard: Dashboard) -> None:
    """Every `$name` is a variable of the dashboard or one of Grafana's own."""
    built_in = re.compile(r"__(rate_interval|auto|interval|range|all|from|to|org|url_time_range|field|data|line__)")
    used = {match[1] for match in VARIABLE.finditer(dashboard.text)}
    unknown = {name for name in used if name not in dashboard.variables and not built_in.match(name)}
    assert not unknown
    unused = {name for name in dashboard.variables if name not in used}
    assert not unused


def test_logs_of_a_pod_are_one_click_away() -> None:
    """A graph or table that shows pods has a link to their lines."""
    for panel in panels():
        legends = " ".join(str(target.raw.get("legendFormat", "")) for target in panel.targets)
        if panel.raw["type"] == "timeseries" and re.search(r"{{(exported_)?pod}}", legends):
            assert any("/explore" in url for url in _urls(panel.raw)), panel.name


@each_dashboard
def test_links_to_explore_can_be_read(dashboard: Dashboard) -> None:
    """The pane of the link is JSON; its query keeps the cluster; its variables are plain names."""
    for url in _urls(dashboard.raw["panels"]):
        if not url.startswith("/explore"):
            continue
        assert all(re.fullmatch(r"\$\{[\w.:]+\}", text) for text in re.findall(r"\$\{[^}]*\}", url)), url
        panes = re.sub(r"\$\{[\w.:]+\}", "X", url).partition("&panes=")[2]
        (pane,) = json.loads(unquote(panes)).values()
        assert pane["range"] == {"from": "X", "to": "X"}
        assert pane["queries"][0]["expr"].startswith('{cluster="X", '), pane


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def _urls(value: Any) -> list[str]:
    """All `url` entries anywhere in `value`."""
    if isinstance(value, dict):
        own = [value["url"]] if "url" in value else []
        return own + [url for entry in value.values() for url in _urls(entry)]
    if isinstance(value, list):
        return [url for entry in value for url in _urls(entry)]
    return []


def test_folder_holds_only_dashboards() -> None:
    assert {path.suffix for path in FOLDER.iterdir()} == {".json"}


def test_the_document_counts_right() -> None:
    """docs/dashboards.md names every dashboard with its panels and queries."""
    text = (FOLDER.parent / "docs" / "dashboards.md").read_text()
    rows = {cells[1].strip("` "): cells for line in text.splitlines() if len(cells := line.split("|")[1:-1]) == 7}
    found = [panel for dashboard in dashboards() for panel in dashboard.panels]
    assert f"| all | | | | {len(found)} | {sum(len(panel.targets) for panel in found)} | 100 % |" in text
    for dashboard in dashboards():
        queries = sum(len(panel.targets) for panel in dashboard.panels)
        title, _, _, _, panel_count, query_count, _ = (cell.strip() for cell in rows[dashboard.uid])
        assert (title, int(panel_count), int(query_count)) == (dashboard.raw["title"], len(dashboard.panels), queries)
