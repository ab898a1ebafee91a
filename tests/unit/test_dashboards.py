"""Dashboards as a stack ships them: runbooks, thresholds, folders, what is left out, and mistakes in a file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.dashboard_files import FOLDERS, Dashboard, load, select, tuned
from components.rule_files import RuleFile
from components.running import ALWAYS, running
from components.stack import select_dashboards
from settings import SettingsError
from settings.alerts import AlertSettings
from tools.rules import stack_settings
from tools.synth import ROOT, Program

RUNS = {"nodes": None, "gpu": "dcgm.mode is off"}
RULES = [RuleFile("r", [{"name": "g", "rules": [{"alert": "CertSoon", "expr": "x\n< 604800  # tune left seconds\n"}]}])]
THRESHOLDS = {
    "steps": [{"color": "red", "value": None}, {"color": "orange", "value": 604800}, {"color": "green", "value": 1e6}]
}


def alerts(**tune: Any) -> AlertSettings:
    return AlertSettings.model_validate({"runbooksUrl": "https://runbooks.example.com", "tune": tune})


def board(name: str, *panels: dict[str, Any]) -> Dashboard:
    constant = {"name": "runbook_base_url", "type": "constant", "query": "https://default.example.com"}
    content = {"uid": name, "title": name, "tags": ["observability", "services"]}
    return Dashboard(name, {**content, "templating": {"list": [constant]}, "panels": list(panels)})


def panel(column: str | None = None, **more: Any) -> dict[str, Any]:
    """A panel with the threshold of CertSoon: its own, or that of a column."""
    entry = {"alert": "CertSoon", "tune": "left", "step": 1, **({"column": column} if column else {})}
    thresholds = json.loads(json.dumps(THRESHOLDS))
    overrides = [
        {"matcher": {"id": "byName", "options": "Other"}, "properties": [{"id": "thresholds", "value": {"steps": []}}]},
        {
            "matcher": {"id": "byName", "options": column},
            "properties": [{"id": "unit", "value": "s"}, {"id": "thresholds", "value": thresholds}],
        },
    ]
    config = {"defaults": {}, "overrides": overrides} if column else {"defaults": {"thresholds": thresholds}}
    return {"alertThresholds": [entry], "fieldConfig": config, **more}


def only(found: list[Dashboard], settings: AlertSettings) -> dict[str, Any]:
    [shipped] = select(found, RULES, settings, RUNS).shipped
    return shipped.content


def test_links_to_runbooks_start_with_the_stacks_own_address() -> None:
    content = only([board("nodes-page")], alerts())
    assert content["templating"]["list"][0]["query"] == "https://runbooks.example.com"


def test_thresholds_follow_the_tuned_alert_and_stay_in_order() -> None:
    content = only([board("a", panel())], alerts(CertSoon={"left": "14d"}))
    steps = content["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, 14 * 86400, 1e6 + 7 * 86400]


def test_the_threshold_of_a_column_is_that_of_the_column_alone() -> None:
    content = only([board("a", panel(column="Time left"))], alerts(CertSoon={"left": "14d"}))
    other, mine = content["panels"][0]["fieldConfig"]["overrides"]
    assert mine["properties"][1]["value"]["steps"][1]["value"] == 14 * 86400
    assert other["properties"][0]["value"]["steps"] == []


def test_without_tuning_nothing_moves_and_files_stay_as_they_are() -> None:
    source = board("a", panel())
    shipped = panel()
    del shipped["alertThresholds"]
    assert only([source], alerts())["panels"] == [shipped], "a key of ours stays at home"
    only([source], alerts(CertSoon={"left": "14d"}))
    assert source.content["panels"] == [panel()]


def test_tuned_values_come_in_the_unit_of_the_rule() -> None:
    assert tuned(RULES, alerts(CertSoon={"left": "1h", "for": "5m"}, Other={"left": "2h"})) == {
        ("CertSoon", "left"): 3600
    }


def test_a_page_of_what_does_not_run_is_left_out_with_the_links_to_it() -> None:
    here, there = {"title": "nodes", "url": "/d/nodes?x=1"}, {"title": "gpu", "url": "/d/gpu?${__url_time_range}"}
    found = [board("a", {"links": [here, there]}), board("gpu"), board("nodes")]
    selection = select(found, RULES, alerts(), RUNS)
    assert [one.name for one in selection.shipped] == ["a", "nodes"]
    assert selection.left_out == {"gpu": "dcgm.mode is off"}
    assert selection.shipped[0].content["panels"] == [{"links": [here]}]


def test_without_grafana_every_page_is_left_out() -> None:
    selection = select([board("a")], RULES, alerts(), {**RUNS, "grafana": "grafana.enabled is false"})
    assert selection.shipped == []
    assert selection.left_out == {"a": "grafana.enabled is false"}


def test_pages_of_optional_software_are_known_by_their_names() -> None:
    """The name of a file and the name of a component meet: renaming one alone would ship the page everywhere."""
    components = set(running(stack_settings("dev"))) - set(ALWAYS)
    optional = components & {one.name for one in load_ours()}
    assert optional == {"argo-cd", "flux", "gpu", "mqtt", "postgresql"}


def test_no_folder_has_the_title_of_a_dashboard_and_none_is_empty() -> None:
    ours = load_ours()
    assert not {one.content["title"] for one in ours} & set(FOLDERS.values())
    assert {one.folder for one in ours} == set(FOLDERS.values())


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_stack_ships_what_it_selects(stack: str, program_of: Callable[[str], Program]) -> None:
    selection = select_dashboards(stack_settings(stack))
    program = program_of(stack)
    maps = {r.name: r.inputs for r in program.of_type(":ConfigMap") if r.name.startswith("dashboards-")}
    assert set(maps) == {f"dashboards-{one.name}" for one in selection.shipped}
    for one in selection.shipped:
        inputs = maps[f"dashboards-{one.name}"]
        assert json.loads(inputs["data"][f"{one.name}.json"]) == one.content
        assert inputs["metadata"]["annotations"]["grafana_folder"] == one.folder
    shipped = [one.name for one in selection.shipped]
    exported = {"shipped": shipped, "leftOut": selection.left_out}
    assert program.outputs["observability"]["dashboards"] == exported


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_no_link_of_a_stack_leads_to_a_page_that_it_does_not_have(stack: str) -> None:
    selection = select_dashboards(stack_settings(stack))
    texts = {one.name: one.text for one in selection.shipped}
    assert not [(name, gone) for name, text in texts.items() for gone in selection.left_out if f'"/d/{gone}?' in text]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not readable as JSON"),
        ("[]", "needs a uid and a title"),
        ('{"uid": "a", "title": "A", "tags": ["observability"]}', "second tag must be its topic, one of alerts, apps"),
        ('{"uid": "a", "title": "A", "tags": ["observability", "cats"]}', "second tag must be its topic"),
        ('{"uid": "a", "title": "A", "tags": "text"}', "second tag must be its topic"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SettingsError, match=message) as error:
        load(tmp_path)
    assert str(tmp_path / "a.json") in str(error.value)


def test_a_uid_stands_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text('{"uid": "x", "title": "A", "tags": ["observability", "logs"]}')
    with pytest.raises(SettingsError, match=r"b\.json: has the uid x of .*a\.json"):
        load(tmp_path)


def load_ours() -> list[Dashboard]:
    return load(ROOT / "dashboards")
