"""The dead man's switch: what an outside watcher sees when Prometheus, the ruler or Alertmanager dies."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components import chart_values, loki_config, rule_files
from components.receivers import HEARTBEAT, HEARTBEAT_LOGS, receivers
from components.routes import BEAT, route
from settings.base import seconds
from tools.synth import ROOT

from . import stacks
from .daemons import Alertmanager, alert, wait_for
from .sinks import HttpSink

REAL = "OBSERVABILITY_TEST_HEARTBEAT"
"""Environment variable: 1 runs with the real times (about 10 minutes), else one thirtieth of them."""
SCALE = 1.0 if os.environ.get(REAL) == "1" else 1 / 30
WATCHER = 120
"""Seconds without a beat after which the watcher calls, as docs/delivery.md says: period and grace of a minute each."""
NOTICED = 180
BUSY = 1.0
"""Seconds that a busy machine may add."""
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
    # The last beat leaves before the alert ends, and the watcher calls WATCHER later.
    assert lives + WATCHER <= NOTICED, f"{name} lives {lives} s after its evaluator died: its group needs interval 15s"


def test_beats_are_often_enough_and_not_too_often() -> None:
    times = {name: seconds(value) for name, value in BEAT.items() if value != "0s"}
    every = -(-times["repeat_interval"] // times["group_interval"]) * times["group_interval"]
    assert every <= 60
    # A watcher hears at least one beat within its time even if one is lost.
    assert 2 * every <= WATCHER


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


class Evaluator:
    """Sends a Watchdog as Prometheus and Loki's ruler do, to every Alertmanager, until it dies."""

    def __init__(self, name: str) -> None:
        self.name, self.alive, self.sent = name, True, 0.0

    def beat(self, alertmanagers: list[Alertmanager]) -> None:
        if self.alive and time.monotonic() - self.sent >= 15 * SCALE:
            self.sent = time.monotonic()
            for alertmanager in alertmanagers:
                if alertmanager.process and alertmanager.process.poll() is None:
                    alertmanager.push([alert(self.name, severity="none", ends_in=lifetime(15, 15) * SCALE)])


def scaled(folder: Path, sink: HttpSink) -> dict[str, Any]:
    secrets = {"beat": f"{sink.url}/prometheus", "logsBeat": f"{sink.url}/logs"}
    content = stacks.rendered(stacks.settings(heartbeat=BEATS), folder, secrets)
    times = {name: f"{int(seconds(value) * 1000 * SCALE)}ms" for name, value in BEAT.items() if value != "0s"}
    stacks.quick(content["route"], **times)
    return content


@pytest.mark.parametrize("victim", ["prometheus", "logs", "alertmanager"])
def test_a_watcher_notices_within_three_minutes(
    victim: str, tmp_path: Path, sink: HttpSink, start: Callable[..., Alertmanager]
) -> None:
    alertmanagers = [start(scaled(tmp_path, sink))]
    evaluators = {"prometheus": Evaluator("Watchdog"), "logs": Evaluator("LogsWatchdog")}

    def last(path: str) -> float:
        return max((request.at for request in sink.to(f"/{path}")), default=0.0)

    def run_until(done: Callable[[], bool]) -> bool:
        for evaluator in evaluators.values():
            evaluator.beat(alertmanagers)
        return done()

    wait_for("no beats", lambda: run_until(lambda: min(len(sink.to("/prometheus")), len(sink.to("/logs"))) >= 2), 300)
    died = time.monotonic()
    if victim == "alertmanager":
        alertmanagers[0].stop()
        paths = ["prometheus", "logs"]
    else:
        evaluators[victim].alive = False
        paths = [victim]
    for path in paths:

        def called(path: str = path) -> bool:
            return run_until(lambda: time.monotonic() - last(path) > WATCHER * SCALE)

        wait_for(f"the watcher of {path} is not called", called, 600)
        assert last(path) + WATCHER * SCALE - died <= NOTICED * SCALE + BUSY
    for other in {"prometheus", "logs"} - set(paths):
        assert time.monotonic() - last(other) < WATCHER * SCALE, "the other half still beats"
    assert all(request.body["status"] == "firing" for request in sink.requests)
