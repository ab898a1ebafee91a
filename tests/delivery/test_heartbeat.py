"""The numbers of the dead man's switch, as they are configured. test_kills.py sees what comes of them."""

import pytest

from components import chart_values, loki_config, rule_files
from components.receivers import HEARTBEAT, HEARTBEAT_LOGS, receivers
from components.routes import BEAT, route
from settings.base import seconds
from tools.synth import ROOT

from . import stacks
from .kills import NOTICED
from .watcher import GRACE, PERIOD

BEATS = {"urlSecret": "beat", "logsUrlSecret": "logsBeat"}


def lifetime(interval: int, resend: int) -> int:
    """Seconds that an alert lives after its evaluator died: four times the longer of evaluation and resend delay."""
    return 4 * max(interval, resend)


def interval_of(evaluator: str, name: str) -> int:
    groups = [group for file in rule_files.load(ROOT / "rules" / evaluator) for group in file.groups]
    [group] = [group for group in groups if any(rule.get("alert") == name for rule in group["rules"])]
    return seconds(str(group["interval"]))


def resend_delays() -> dict[str, int]:
    chosen = stacks.shipped("prod")
    [argument] = chart_values.prometheus(chosen)["prometheusSpec"]["additionalArgs"]
    assert argument["name"] == "rules.alert.resend-delay"
    return {
        "prometheus": seconds(argument["value"]),
        "loki": seconds(loki_config.ruler(chosen, {"store": "memberlist"})["resend_delay"]),
    }


@pytest.mark.parametrize(("evaluator", "name"), [("prometheus", "Watchdog"), ("loki", "LogsWatchdog")])
def test_the_numbers_add_up_to_three_minutes(evaluator: str, name: str) -> None:
    lives = lifetime(interval_of(evaluator, name), resend_delays()[evaluator])
    # The last beat leaves before the alert ends, and the watcher calls after its period and grace.
    assert lives + PERIOD + GRACE <= NOTICED, (
        f"{name} lives {lives} s after its evaluator died: its group needs interval 15s"
    )


def test_beats_are_often_enough_and_not_too_often() -> None:
    times = {name: seconds(value) for name, value in BEAT.items() if value != "0s"}
    every = -(-times["repeat_interval"] // times["group_interval"]) * times["group_interval"]
    assert every <= 60
    # A watcher hears at least one beat within its time even if one is lost.
    assert 2 * every <= PERIOD + GRACE


def test_the_end_of_a_watchdog_is_not_told() -> None:
    chosen = stacks.settings(heartbeat=BEATS)
    named = {receiver["name"]: receiver for receiver in receivers(chosen.alertmanager)}
    for name in (HEARTBEAT, HEARTBEAT_LOGS):
        [hook] = named[name]["webhook_configs"]
        assert hook["send_resolved"] is False
        assert "url" not in hook
    paths = {child["receiver"]: child["matchers"] for child in route(chosen)["routes"]}
    assert paths[HEARTBEAT] == ['alertname="Watchdog"']
    assert paths[HEARTBEAT_LOGS] == ['alertname="LogsWatchdog"']
