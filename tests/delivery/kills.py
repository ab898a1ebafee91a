"""What happens when daemons of a stack are killed: each scenario has processes of its own, all run at the same time."""

import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tools.binaries import find

from .daemons import Alertmanager, Daemon, wait_for
from .processes import Stack, settings
from .watcher import GRACE, PERIOD

Victims = list[Daemon | Alertmanager]
NOTICED = 180.0
"""Seconds within which the watcher has to call."""


@dataclass
class Seen:
    """What came of the kill."""

    called_after: dict[str, float] = field(default_factory=dict)
    """Seconds from the kill to the call about a beat; nothing for one that never stopped."""
    still_beating: dict[str, bool] = field(default_factory=dict)
    """Whether a beat of the others came after their watcher would have called, had the kill stopped it."""
    longest_gap: dict[str, float] = field(default_factory=dict)
    told_after: dict[str, float] = field(default_factory=dict)
    """Seconds from the kill to the message of an alert."""
    ends_told: bool = False
    """Whether a message about the end of a Watchdog reached the watcher."""


def all_prometheus(folder: Path) -> Seen:
    """Both Prometheus die, Loki's ruler lives."""
    stack = Stack(folder, settings(prometheus=2, loki=1, alertmanager=1))
    return _all_killed(stack, lambda: list(stack.prometheus), ["prometheus"])


def all_rulers(folder: Path) -> Seen:
    """All three Lokis die, Prometheus lives."""
    stack = Stack(folder, settings(prometheus=1, loki=3, alertmanager=1))
    return _all_killed(stack, lambda: list(stack.loki), ["logs"])


def all_alertmanagers(folder: Path) -> Seen:
    """All three Alertmanagers die."""
    stack = Stack(folder, settings(prometheus=1, loki=1, alertmanager=3))
    return _all_killed(stack, lambda: list(stack.alertmanagers), ["prometheus", "logs"])


def one_of_each(folder: Path) -> Seen:
    """One of two Prometheus dies, the Alertmanager that tells, and the ruler that evaluates the Watchdog."""
    stack = Stack(folder, settings(prometheus=2, loki=3, alertmanager=3))
    seen = Seen()
    # Path of the receiver that prod leads the severity to, and what the message must hold.
    expected = {
        "PrometheusDown": ("/pagerduty", ("PrometheusDown", "kube-prometheus-stack-prometheus-0 is down")),
        "ExporterDown of Alertmanager": ("/slackUrl", ("targets of job alertmanager",)),
        "ExporterDown of Loki": ("/slackUrl", ("targets of job loki",)),
    }
    try:
        stack.start()
        leader = min(stack.alertmanagers, key=lambda one: str(one.get("status")["cluster"]["name"]))
        killed = _kill([stack.prometheus[0], leader, _evaluates_watchdog(stack)])

        def told() -> bool:
            for name, (path, words) in expected.items():
                if name not in seen.told_after and stack.told(path, *words):
                    seen.told_after[name] = time.monotonic() - killed
            return len(seen.told_after) == len(expected)

        wait_for(f"not told of each: {seen.told_after}", told, 600)
        _outlive(stack, list(stack.watcher.checks), killed, seen)
        _note(stack, killed, seen)
    finally:
        stack.stop()
    return seen


def _all_killed(stack: Stack, victims: Callable[[], Victims], silent: list[str]) -> Seen:
    seen = Seen()
    try:
        stack.start()
        killed = _kill(victims())
        for name in silent:
            wait_for(f"nobody is called about {name}", stack.watcher.checks[name].has_called, 600)
        _outlive(stack, [name for name in stack.watcher.checks if name not in silent], killed, seen)
        _note(stack, killed, seen)
    finally:
        stack.stop()
    return seen


def _kill(victims: Victims) -> float:
    for victim in victims:
        victim.stop(signal.SIGKILL)
    return time.monotonic()


def _outlive(stack: Stack, names: list[str], killed: float, seen: Seen) -> None:
    """Wait for a beat that comes so late after the kill that silence would have been noticed before it."""
    late = killed + PERIOD + GRACE
    for name in names:
        check = stack.watcher.checks[name]
        wait_for(f"{name} does not beat any more", partial(check.settled_after, late), 600)
        seen.still_beating[name] = check.pings[-1] > late


def _note(stack: Stack, killed: float, seen: Seen) -> None:
    for name, check in stack.watcher.checks.items():
        seen.longest_gap[name] = check.gap()
        if check.down:
            seen.called_after[name] = check.down[0] - killed
    seen.ends_told = any(request.body["status"] != "firing" for request in stack.watcher.sink.requests)


def _evaluates_watchdog(stack: Stack) -> Daemon:
    """The Loki whose ruler has the group of the LogsWatchdog: rulers share the groups among them."""

    def found() -> list[Daemon]:
        series = "loki_prometheus_rule_group_last_evaluation_timestamp_seconds"
        return [
            loki
            for loki in stack.loki
            if any(series in line and "monitoring.watchdog" in line for line in loki.get("/metrics").splitlines())
        ]

    return wait_for("no ruler has the group monitoring.watchdog", found)[0]


SCENARIOS = (all_prometheus, all_rulers, all_alertmanagers, one_of_each)


class Kills:
    """All scenarios, begun at once in the background."""

    def __init__(self, folder: Path) -> None:
        for name in ("alertmanager", "prometheus", "loki"):
            find(name)
        self._pool = ThreadPoolExecutor(len(SCENARIOS))
        self._running: dict[str, Future[Seen]] = {
            scenario.__name__: self._pool.submit(scenario, folder / scenario.__name__) for scenario in SCENARIOS
        }

    def seen(self, scenario: Callable[[Path], Seen]) -> Seen:
        """What came of a scenario, once it has ended. Raises what it raised."""
        return self._running[scenario.__name__].result()

    def close(self) -> None:
        """Wait for all of them: each stops its processes."""
        self._pool.shutdown()
