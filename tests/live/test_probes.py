"""Every probe module against real servers in good and bad states: what the real exporter says, and which alerts fire.

Blackbox exporter and Prometheus run the configuration, the Probe objects and the rules that a stack renders. Only the
waiting is shorter: rules are evaluated each second, and `for` is tuned to 1 s.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.live.probes import daemons
from tests.live.probes.servers import servers
from tests.live.probes.states import STATES, State, row
from tools.synth import ROOT

ROUNDS = 2
"""Probes of every target before its alerts count: a state has to last."""
NOT_ROOT = "needs root, to give the exporter a network of its own and take its capabilities"


@dataclass(frozen=True)
class Seen:
    """What Prometheus has in the end: result of the last probe and firing alerts, by service."""

    success: dict[str, float]
    alerts: dict[str, list[dict[str, Any]]]

    def names(self, service: str) -> tuple[str, ...]:
        return tuple(sorted({alert["labels"]["alertname"] for alert in self.alerts[service]}))


def tried() -> list[int]:
    return [index for index, state in enumerate(STATES) if os.geteuid() == 0 or not state.isolated]


def look(url: str) -> Seen:
    success = daemons.get(f"{url}/api/v1/query", query="probe_success")["result"]
    alerts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for alert in daemons.get(f"{url}/api/v1/alerts")["alerts"]:
        if alert["state"] == "firing":
            alerts[alert["labels"].get("service", "")].append(alert)
    return Seen({one["metric"]["service"]: float(one["value"][1]) for one in success}, alerts)


def as_expected(seen: Seen) -> bool:
    return all(
        seen.success.get(daemons.service(index)) == STATES[index].success
        and seen.names(daemons.service(index)) == tuple(sorted(STATES[index].alerts))
        for index in tried()
    )


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("probes")
    with servers(folder) as running, daemons.prometheus(folder, running) as (url, alive):

        def probed_often() -> bool:
            counts = daemons.get(f"{url}/api/v1/query", query="count_over_time(probe_success[10m])")["result"]
            often = {one["metric"]["service"] for one in counts if float(one["value"][1]) >= ROUNDS}
            return {daemons.service(index) for index in tried()} <= often

        daemons.wait("probes", probed_often, alive)
        # In the end nothing is left but what is expected: each test says what differs for its state.
        last = look(url)

        def settled() -> bool:
            nonlocal last
            last = look(url)
            return as_expected(last)

        daemons.wait("alerts", settled, alive)
        yield last


def name(index: int) -> str:
    return f"{STATES[index].module}-{STATES[index].what}"


@pytest.mark.parametrize("index", range(len(STATES)), ids=name)
def test_state(seen: Seen, index: int) -> None:
    state: State = STATES[index]
    if state.isolated and os.geteuid() != 0:
        pytest.skip(NOT_ROOT)
    service = daemons.service(index)
    assert (seen.success.get(service), seen.names(service)) == (state.success, tuple(sorted(state.alerts)))


def test_alerts_say_whose_they_are(seen: Seen) -> None:
    """The team of a target wins over that of the rule; the others keep the rule's."""
    mine = seen.alerts[daemons.service(daemons.TOLD)]
    assert {(a["labels"]["team"], a["labels"]["priority"]) for a in mine} == {(daemons.TEAM, daemons.PRIORITY)}
    others = [a for service, alerts in seen.alerts.items() if service != daemons.service(daemons.TOLD) for a in alerts]
    assert {alert["labels"]["team"] for alert in others} <= {"apps", "platform", "network"}
    assert all("priority" not in alert["labels"] for alert in others)


def test_texts_are_whole(seen: Seen) -> None:
    for alerts in seen.alerts.values():
        for alert in alerts:
            text = " ".join(alert["annotations"].values())
            assert not re.search(r"no value|\$\{|\{\{|%!", text), text


def test_the_page_lists_every_state() -> None:
    page = (ROOT / "docs" / "probes.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if re.search(r"\| [01] \|", line)] == [row(state) for state in STATES]
