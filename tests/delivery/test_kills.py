"""The dead man's switch with the real daemons and the times of production."""

from collections.abc import Callable
from pathlib import Path

import pytest

from . import kills
from .kills import NOTICED, Kills, Seen

BUSY = 30.0
"""Seconds that a busy machine may add."""


@pytest.mark.parametrize(
    ("scenario", "silent"),
    [
        (kills.all_prometheus, {"prometheus"}),
        (kills.all_rulers, {"logs"}),
        (kills.all_alertmanagers, {"prometheus", "logs"}),
    ],
)
def test_the_watcher_calls_when_all_replicas_are_dead(
    scenario: Callable[[Path], Seen], silent: set[str], kill_tests: Kills, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = kill_tests.seen(scenario)
    with capsys.disabled():
        called = ", ".join(f"{name} {after:.0f} s" for name, after in sorted(seen.called_after.items()))
        print(f"\n{scenario.__name__}: the watcher calls after the kill: {called}")
    assert set(seen.called_after) == silent
    assert max(seen.called_after.values()) <= NOTICED + BUSY
    assert all(seen.still_beating.values()), "the other half still beats"
    assert not seen.ends_told, "a message about the end would count as a beat"


def test_one_dead_replica_is_an_alert_and_no_call(kill_tests: Kills, capsys: pytest.CaptureFixture[str]) -> None:
    seen = kill_tests.seen(kills.one_of_each)
    with capsys.disabled():
        told = ", ".join(f"{name} {after:.0f} s" for name, after in seen.told_after.items())
        gaps = ", ".join(f"{name} {gap:.0f} s" for name, gap in sorted(seen.longest_gap.items()))
        print(f"\none of each is killed: told of {told}; longest time between two beats: {gaps}")
    assert not seen.called_after
    assert seen.still_beating == {"prometheus": True, "logs": True}
    assert set(seen.told_after) == {"PrometheusDown", "ExporterDown of Alertmanager", "ExporterDown of Loki"}
