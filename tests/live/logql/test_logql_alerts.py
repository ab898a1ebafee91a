"""Every LogQL alert on a real Loki: the lines of its cases are pushed, its message is read at a real Alertmanager.

All cases share one Loki, one Prometheus and one Alertmanager, with all rules loaded, so that a line which wakes a
foreign alert is seen too. The recordings keep their minute: that is most of the time these tests take.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from settings.base import seconds
from tests.live.logql import daemons, stack
from tests.live.logql.cases import Case, alerts, cases, expected
from tests.live.logql.daemons import Servers
from tools.faults.daemons import until

LIVE, QUIET = "live", "quiet"
"""Two tenants, each a cluster of that name: all lines go to the first, but for alerts on missing lines."""
LABELS = ("namespace", "pod", "container", "app", "node", "job")
LATE = 12
"""Seconds after the last push from which an evaluation has all lines in its window: 10 of them in the rules."""
pytestmark = pytest.mark.xdist_group("logql")


def tenant(case: Case) -> str:
    return QUIET if case.alert.absent and case.fires else LIVE


def pushed(case: Case, now: int) -> list[list[str]]:
    """The lines of a case with their times, in nanoseconds."""
    if case.alert.absent and not case.fires:
        # Silent as long as lines keep coming: before, during and after the test.
        return [[str(now + second * 10**9), case.log[0]] for second in range(-120, 540, 10)]
    # Loki takes equal lines of the same nanosecond for one.
    return [[str(now + n), line] for n, line in enumerate(case.log)]


def push(servers: Servers) -> None:
    now = time.time_ns()
    for name in (LIVE, QUIET):
        streams = []
        for position, case in enumerate(cases()):
            if tenant(case) == name and case.stream:
                labels: dict[str, str] = {**case.stream, "cluster": name}
                # A million nanoseconds apart, since cases may share a stream.
                streams.append({"stream": labels, "values": pushed(case, now + 10**6 * position)})
        servers.loki.post("/loki/api/v1/push", name, {"streams": streams})


def arrived(servers: Servers) -> list[dict[str, Any]]:
    """All alerts at Alertmanager."""
    return list(servers.alertmanager.get("/api/v2/alerts"))


def caused(case: Case, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those among the alerts that the case may have caused."""
    if case.alert.absent or case.alert.always:
        own = {"alertname": case.alert.name, "cluster": tenant(case)}
        return [alert for alert in found if own.items() <= alert["labels"].items()]
    return [alert for alert in found if case.name in alert["labels"].values()]


def groups(servers: Servers) -> list[dict[str, Any]]:
    """All rule groups of both rulers."""
    of_loki = [servers.loki.get("/prometheus/api/v1/rules", name)["data"]["groups"] for name in (LIVE, QUIET)]
    return [group for found in [*of_loki, servers.prometheus.get("/api/v1/rules")["data"]["groups"]] for group in found]


def evaluated(servers: Servers, moment: float, *, recording_too: bool) -> bool:
    """Whether every group was evaluated after the moment."""
    wanted = [g for g in groups(servers) if recording_too or all(rule["type"] == "alerting" for rule in g["rules"])]
    return all(datetime.fromisoformat(group["lastEvaluation"]).timestamp() >= moment for group in wanted)


def recorded(servers: Servers) -> Counter[tuple[str | None, str]]:
    """Lines that each case left in each recorded series."""
    counts: Counter[tuple[str | None, str]] = Counter()
    for name in {stack.recording(alert.name) for alert in alerts()} - {None}:
        for one in servers.prometheus.get("/api/v1/query", query=f"sum_over_time({name}[5m])")["data"]["result"]:
            counts[name, one["metric"]["namespace"]] += int(float(one["value"][1]))
    return counts


def patiently(ready: Callable[[], object]) -> None:
    """Waits, but leaves it to the test of the case to say what is missing."""
    with contextlib.suppress(TimeoutError):
        until("", ready)


@dataclass(frozen=True)
class Seen:
    """What came of all lines, read once: windows pass while the tests of the cases run."""

    servers: Servers
    alerts: list[dict[str, Any]]
    recorded: Counter[tuple[str | None, str]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with daemons.running(tmp_path_factory.mktemp("logql"), (LIVE, QUIET)) as found:
        until("first evaluation of every alert", lambda: evaluated(found, 1, recording_too=False))
        push(found)
        complete = time.time() + LATE
        until("recording of all lines", lambda: evaluated(found, complete, recording_too=True), patience=180)
        wanted = {(stack.recording(c.alert.name), c.name): c.counted for c in cases() if stack.recording(c.alert.name)}
        counted: Counter[tuple[str | None, str]] = Counter()

        def complete_records() -> bool:
            counted.clear()
            counted.update(recorded(found))
            return wanted.items() <= {**dict.fromkeys(wanted, 0), **counted}.items()

        patiently(complete_records)
        longest = max(seconds(str(alert.rule.get("for", "0s"))) for alert in alerts()) // stack.FASTER
        moment = time.time() + longest + 2 * stack.INTERVAL
        until("evaluation of all alerts", lambda: evaluated(found, moment, recording_too=False))
        firing = [case for case in cases() if case.fires]
        alerts_now: list[dict[str, Any]] = []

        def complete_alerts() -> bool:
            alerts_now[:] = arrived(found)
            return all(caused(case, alerts_now) for case in firing)

        patiently(complete_alerts)
        yield Seen(found, alerts_now, counted)


def names(chosen: bool) -> list[Any]:
    return [pytest.param(case, id=case.name) for case in cases() if case.fires is chosen]


def check_recorded(seen: Seen, case: Case) -> None:
    name = stack.recording(case.alert.name)
    if name:
        assert seen.recorded[name, case.name] == case.counted, f"lines in {name}"


@pytest.mark.parametrize("case", names(True))
def test_fires(seen: Seen, case: Case) -> None:
    check_recorded(seen, case)
    found = {alert["labels"]["alertname"]: alert for alert in caused(case, seen.alerts)}
    assert set(found) == {case.alert.name, *case.alert.also}
    labels, texts = expected(case, tenant(case))
    assert found[case.alert.name]["labels"] == labels
    annotations = found[case.alert.name]["annotations"]
    assert annotations.pop("runbook_url").endswith(f"/{case.alert.name}.md")
    assert annotations == texts


@pytest.mark.parametrize("case", names(False))
def test_is_silent(seen: Seen, case: Case) -> None:
    check_recorded(seen, case)
    assert [
        alert["labels"] for alert in caused(case, seen.alerts) if alert["labels"]["alertname"] not in case.alert.also
    ] == []


def test_loki_has_every_line_once(seen: Seen) -> None:
    """Silence proves nothing where no line arrived."""
    wanted: Counter[tuple[str, ...]] = Counter()
    for case in cases():
        if tenant(case) == LIVE and case.stream:
            wanted[tuple(case.stream.get(label, "") for label in LABELS)] += len(pushed(case, 0))
    query = f'sum by ({", ".join(LABELS)}) (count_over_time({{cluster="{LIVE}"}}[1h]))'
    answer = seen.servers.loki.get("/loki/api/v1/query", LIVE, query=query, time=str(time.time() + 600))["data"][
        "result"
    ]
    found = {tuple(one["metric"].get(label, "") for label in LABELS): int(one["value"][1]) for one in answer}
    assert found == dict(wanted)


def test_every_rule_is_loaded_and_healthy(seen: Seen) -> None:
    for name in (LIVE, QUIET):
        loaded = seen.servers.loki.get("/prometheus/api/v1/rules", name)["data"]["groups"]
        files = stack.rendered("loki", name)
        assert sorted((group["file"], group["name"]) for group in loaded) == sorted(
            (f"{file.name}.yaml", group["name"]) for file in files for group in file.groups
        )
    for group in groups(seen.servers):
        for rule in group["rules"]:
            assert rule["health"] == "ok", f"{rule['name']}: {rule.get('lastError')}"
