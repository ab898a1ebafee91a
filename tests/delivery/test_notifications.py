"""When and how often people are told: groups, quiet hours, maintenance, the daily digest."""

import signal
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from . import stacks
from .daemons import Alertmanager, alert, wait_for
from .sinks import HttpSink

Start = Callable[..., Alertmanager]
HOOK = [{"kind": "webhook", "urlSecret": "hookUrl"}]


def config(folder: Path, sink: HttpSink, **alertmanager: Any) -> dict[str, Any]:
    """Configuration of a stack with one webhook, quick enough for a test."""
    chosen = stacks.settings(receivers={"team": HOOK}, **alertmanager)
    secrets = {"hookUrl": f"{sink.url}/team", "beat": f"{sink.url}/beat", "logsBeat": f"{sink.url}/logs-beat"}
    content = stacks.rendered(chosen, folder, secrets)
    stacks.quick(content["route"], group_wait="500ms", group_interval="1s")
    return content


def names(sink: HttpSink, path: str = "/team") -> list[str]:
    """Names of all alerts that were told, message by message."""
    return [alert["labels"]["alertname"] for request in sink.to(path) for alert in request.body["alerts"]]


def grouped(alertmanager: Alertmanager) -> list[str]:
    """Names of the alerts that wait in a group for its next message."""
    return [alert["labels"]["alertname"] for group in alertmanager.get("alerts/groups") for alert in group["alerts"]]


def suppressed(alertmanager: Alertmanager, reason: str) -> float:
    """How many notifications Alertmanager held back for this reason."""
    with urllib.request.urlopen(f"{alertmanager.url}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    wanted = "alertmanager_notifications_suppressed_total"
    return sum(float(line.split()[-1]) for line in lines if line.startswith(wanted) and f'"{reason}"' in line)


def window(begin: timedelta, end: timedelta, zone: str = "UTC") -> dict[str, str]:
    """A window from and to these distances from now, in the words of a time zone."""
    now = datetime.now(ZoneInfo(zone))
    return {"start": f"{now + begin:%H:%M}", "end": f"{now + end:%H:%M}", "timezone": zone}


def zone_where_it_is(hour: int) -> str:
    """A time zone in which this hour of the day runs now."""
    east = (hour - datetime.now(UTC).hour + 11) % 24 - 11
    # These names count westwards.
    return f"Etc/GMT{-east:+d}"


NOW = (timedelta(hours=-1), timedelta(hours=1))
LATER = (timedelta(hours=2), timedelta(hours=3))


def test_one_message_for_each_alert_and_namespace(tmp_path: Path, sink: HttpSink, start: Start) -> None:
    content = config(tmp_path, sink, routes={"critical": "team"})
    stacks.quick(content["route"], group_wait="10s", group_interval="1s")
    alertmanager = start(content)
    # They begin now: Alertmanager does not gather for an alert that is older than its group_wait.
    pods = [alert("PodCrashLooping", severity="critical", namespace="a", pod=str(n), begun=0) for n in range(5)]
    pods += [alert("PodCrashLooping", severity="critical", namespace="b", pod=str(n), begun=0) for n in range(3)]
    alertmanager.push([*pods, alert("WorkloadDown", severity="critical", namespace="c", begun=0)])
    wait_for("not three messages", lambda: len(sink.to("/team")) >= 3)
    assert sorted(len(request.body["alerts"]) for request in sink.to("/team")) == [1, 3, 5]


def test_quiet_hours_hold_warnings_back_and_not_critical_ones(tmp_path: Path, sink: HttpSink, start: Start) -> None:
    routes = {"critical": "team", "warning": "team"}
    quiet = config(tmp_path, sink, routes=routes, quietHours={"team": [window(*NOW)]})
    alertmanager = start(quiet)
    alertmanager.push([alert("Slow", severity="warning"), alert("Down", severity="critical")])
    wait_for("nothing is held back", lambda: suppressed(alertmanager, "mute_time_interval"))
    wait_for("the critical alert is not told", lambda: "Down" in names(sink))
    assert "Slow" not in names(sink)
    # The end of the quiet hours: a reload, without restart. What still fires is told.
    alertmanager.write(config(tmp_path, sink, routes=routes, quietHours={"team": [window(*LATER)]}))
    assert alertmanager.process
    alertmanager.process.send_signal(signal.SIGHUP)
    wait_for("the warning is not told afterwards", lambda: "Slow" in names(sink))


def test_maintenance_holds_back_what_it_names(tmp_path: Path, sink: HttpSink, start: Start) -> None:
    entry = {"reason": "weekly storage updates", "windows": [window(*NOW)], "team": "storage"}
    storage_alone_is_muted(
        start(config(tmp_path, sink, routes={"critical": "team"}, maintenance={"storage": entry})), sink
    )


@pytest.mark.parametrize("hour", [23, 0])
def test_a_window_over_midnight_holds_on_both_sides(hour: int, tmp_path: Path, sink: HttpSink, start: Start) -> None:
    zone = zone_where_it_is(hour)
    inside, outside = window(*NOW, zone), window(*LATER, zone)
    assert inside["start"] > inside["end"] or inside["end"] == "00:00"
    mute = {"muted": "storage", "told": "apps"}
    entries = {
        name: {"reason": "weekly storage updates", "windows": [when], "team": mute[name]}
        for name, when in (("muted", inside), ("told", outside))
    }
    storage_alone_is_muted(start(config(tmp_path, sink, routes={"critical": "team"}, maintenance=entries)), sink)


def storage_alone_is_muted(alertmanager: Alertmanager, sink: HttpSink) -> None:
    teams = {"Mount": "storage", "Down": "apps"}
    alertmanager.push(alert(name, severity="critical", team=team) for name, team in teams.items())
    wait_for("nothing is held back", lambda: suppressed(alertmanager, "mute_time_interval"))
    wait_for("the other team is not told", lambda: "Down" in names(sink))
    assert "Mount" not in names(sink)


def test_a_maintenance_of_everything_leaves_the_heartbeat_alone(tmp_path: Path, sink: HttpSink, start: Start) -> None:
    entry = {"reason": "the whole cluster is rebuilt", "windows": [window(*NOW)]}
    beats = {"urlSecret": "beat", "logsUrlSecret": "logsBeat"}
    content = config(tmp_path, sink, routes={"critical": "team"}, maintenance={"all": entry}, heartbeat=beats)
    alertmanager = start(content)
    alertmanager.push([alert("Down", severity="critical"), alert("Watchdog", severity="none")])
    wait_for("nothing is held back", lambda: suppressed(alertmanager, "mute_time_interval"))
    wait_for("no beat", lambda: sink.to("/beat"))
    assert not sink.to("/team")


def test_the_digest_tells_what_came_and_went(tmp_path: Path, sink: HttpSink, start: Start) -> None:
    beats = {"urlSecret": "beat", "logsUrlSecret": "logsBeat"}
    content = config(tmp_path, sink, routes={"info": "team"}, heartbeat=beats)
    # A day of ten seconds.
    [digest] = [route for route in content["route"]["routes"] if route["receiver"] == "team"]
    digest |= {"group_wait": "10s", "group_interval": "10s", "repeat_interval": "9s"}
    alertmanager = start(content)
    watchdog = alert("Watchdog", severity="none", begun=0)
    short = alert("NodeCordoned", severity="info", begun=0)
    alertmanager.push([watchdog, short])
    # Its workers may take two pushes of one alert in any order.
    wait_for("the alert is in no group", lambda: "NodeCordoned" in grouped(alertmanager))
    alertmanager.push([{**short, "endsAt": datetime.now(UTC).isoformat()}])
    first = wait_for("no digest", lambda: sink.to("/team"))[0].body
    assert {alert["labels"]["alertname"]: alert["status"] for alert in first["alerts"]} == {
        "Watchdog": "firing",
        "NodeCordoned": "resolved",
    }
    second = wait_for("no second digest", lambda: sink.to("/team")[1:])[0]
    assert [alert["labels"]["alertname"] for alert in second.body["alerts"]] == ["Watchdog"]
    # A digest holds everything of its day, and no alert is told by itself.
    alertmanager.push([alert(f"Info{n}", severity="info") for n in range(20)])
    third = wait_for("no third digest", lambda: sink.to("/team")[2:])[0].body
    assert len(third["alerts"]) == 21
