"""Every shipped alert of every stack goes where `make routes` says, by Alertmanager's own word."""

import re
import subprocess
import zoneinfo
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from rich.console import Console

from components.alertmanager_config import config
from components.receivers import HEARTBEAT, HEARTBEAT_LOGS, NOBODY
from components.routes import TIMING, route, time_intervals
from settings import SettingsError
from settings.base import seconds
from settings.routing import Team
from tools.binaries import find
from tools.routes import PAGE, destinations, page, shipped, told, tree

from . import stacks

HOOK = [{"kind": "webhook", "urlSecret": "hook"}]
NAMES = ("oncall", "team", "digest", "gpus", "pay", "payoncall", "databases", "stores")
EVERY_ROUTE: dict[str, Any] = {
    "receivers": dict.fromkeys(NAMES, HOOK),
    "heartbeat": {"urlSecret": "beat", "logsUrlSecret": "logsBeat"},
    "routes": {
        "critical": "oncall",
        "warning": "team",
        "info": "digest",
        "gpu": "gpus",
        "namespaces": {"pay-*": {"critical": "payoncall", "warning": "pay"}},
        "components": {"postgresql": {"warning": "databases"}},
        "teams": {"storage": {"warning": "stores"}},
    },
    "maintenance": {
        "updates": {
            "reason": "weekly updates of nodes",
            "windows": [{"start": "22:30", "end": "01:00", "weekdays": ["sunday"]}],
            "namespace": "pay-*",
        }
    },
}


def amtool(config: dict[str, Any], folder: Path, labels: dict[str, str]) -> list[str]:
    file = folder / "config.yaml"
    if not file.exists():
        file.write_text(yaml.safe_dump(config))
    command = [str(find("amtool")), "config", "routes", "test", f"--config.file={file}"]
    command += [f"{name}={value}" for name, value in labels.items()]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(",")


@pytest.mark.parametrize("stack", [*stacks.STACKS, "every route"])
def test_every_alert_goes_where_the_table_says(stack: str, tmp_path: Path) -> None:
    chosen = stacks.shipped(stack) if stack in stacks.STACKS else stacks.settings(**EVERY_ROUTE)
    config = stacks.rendered(chosen, tmp_path)
    rows = list(destinations(chosen))
    amtool(config, tmp_path, {})
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda row: amtool(config, tmp_path, row[0]), rows))
    assert said == [receivers for _, receivers in rows]
    assert len(rows) > 80
    for labels, receivers in rows:
        assert len(set(receivers)) == len(receivers), f"{labels['alertname']} is told twice to one receiver"


def test_severities_meet_their_people() -> None:
    chosen = stacks.shipped("prod")
    for labels, receivers in destinations(chosen):
        if labels["severity"] == "critical":
            assert "oncall" in receivers
        if labels["severity"] == "warning":
            assert receivers in (["team"], ["databases"])
        if labels["severity"] == "info":
            assert receivers == ["digest"]
    beats = {
        labels["alertname"]: receivers for labels, receivers in destinations(chosen) if labels["severity"] == "none"
    }
    assert beats == {"Watchdog": [HEARTBEAT, "digest"], "LogsWatchdog": [HEARTBEAT_LOGS, "digest"]}


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"severity": "critical", "component": "gpu", "team": "gpu"}, ["gpus", "oncall"]),
        ({"severity": "info", "component": "gpu", "team": "gpu"}, ["digest"]),
        ({"severity": "warning", "namespace": "pay-eu", "team": "storage"}, ["pay"]),
        ({"severity": "critical", "namespace": "pay-eu", "component": "postgresql"}, ["payoncall"]),
        ({"severity": "info", "namespace": "pay-eu"}, ["digest"]),
        ({"severity": "warning", "namespace": "pay", "team": "storage"}, ["stores"]),
        ({"severity": "critical", "component": "postgresql"}, ["oncall"]),
        ({"severity": "warning", "component": "postgresql", "team": "storage"}, ["databases"]),
    ],
)
def test_the_most_special_route_wins(labels: dict[str, str], receivers: list[str]) -> None:
    assert told(route(stacks.settings(**EVERY_ROUTE)), labels) == receivers


def test_without_routes_nobody_is_told() -> None:
    assert {tuple(receivers) for _, receivers in destinations(stacks.settings())} == {(NOBODY,)}


def test_response_times() -> None:
    times = {severity: {name: seconds(value) for name, value in given.items()} for severity, given in TIMING.items()}
    assert times["critical"]["group_wait"] <= 10
    # The requirements: critical below 5 minutes, warning below 30, even when two attempts fail.
    assert times["critical"]["group_wait"] + 3 * times["critical"]["group_interval"] <= 300
    assert times["warning"]["group_wait"] + 2 * times["warning"]["group_interval"] <= 1800


def test_teams_are_those_of_the_rules() -> None:
    teams = {labels["team"] for stack in stacks.STACKS for labels in shipped(stacks.shipped(stack))}
    assert teams == set(get_args(Team.__value__ if hasattr(Team, "__value__") else Team))


def test_windows_over_midnight_become_two() -> None:
    [interval] = time_intervals(stacks.settings(**EVERY_ROUTE).alertmanager)
    assert interval == {
        "name": "maintenance-updates",
        "time_intervals": [
            {"times": [{"start_time": "22:30", "end_time": "24:00"}], "location": "UTC", "weekdays": ["sunday"]},
            {"times": [{"start_time": "00:00", "end_time": "01:00"}], "location": "UTC", "weekdays": ["monday"]},
        ],
    }


def test_unknown_components_are_named() -> None:
    wrong = {"receivers": {"a": HOOK}, "routes": {"components": {"postgres": {"warning": "a"}}}}
    with pytest.raises(SettingsError, match=re.escape("alertmanager.routes.components.postgres: no rule has")):
        route(stacks.settings(**wrong))


def test_time_zones_are_known_here() -> None:
    assert "Europe/Berlin" in zoneinfo.available_timezones()


def test_the_page_of_routes_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make docs"


def test_a_route_that_names_nobody_is_said_to_lead_on(capsys: pytest.CaptureFixture[str]) -> None:
    Console(width=200, markup=False).print(tree(config(stacks.shipped("prod"))["route"]))
    said = capsys.readouterr().out
    assert 'team="storage"' in said
    assert "the first below, else nobody" in said
    assert not re.search(r"->\s*$|->\s*\(", said, re.MULTILINE)
