"""Three Alertmanagers: no alert is missed and hardly one told twice while leaders are killed; a partition heals."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components.routes import TIMING
from tools.ports import free_ports

from . import stacks
from .daemons import Alertmanager, alert, wait_for
from .relay import Relay
from .sinks import HttpSink

REAL = "OBSERVABILITY_TEST_REPLICAS"
"""Environment variable: 1 runs with the times of production (about 10 minutes), else with short ones."""
IS_REAL = os.environ.get(REAL) == "1"
SEED = int(os.environ.get("OBSERVABILITY_TEST_SEED", "0")) or int(time.time())
KILLS, ALERTS = 10, 100
GROUP_WAIT = 10.0 if IS_REAL else 1.0
PEER_TIMEOUT = 15.0 if IS_REAL else 3.0
# Gossip is shortened with the rest: what was told in the last gossip interval before a kill is told again.
SHORT = ("gossip-interval=20ms", "pushpull-interval=3s", "probe-interval=300ms", "probe-timeout=150ms")


class Cluster:
    """Three replicas with the configuration of a stack, which all alerts are sent to again and again."""

    def __init__(self, folder: Path, sink: HttpSink, *, relayed: bool = False) -> None:
        chosen = stacks.settings(
            receivers={"team": [{"kind": "webhook", "urlSecret": "hookUrl"}]}, routes={"critical": "team"}, replicas=3
        )
        config = stacks.rendered(chosen, folder, {"hookUrl": sink.url})
        interval = TIMING["critical"]["group_interval"] if IS_REAL else "10s"
        stacks.quick(config["route"], group_wait=f"{int(GROUP_WAIT * 1000)}ms", group_interval=interval)
        ports, before = free_ports(3), free_ports(3)
        self.relays = [Relay(port, target) for port, target in zip(before, ports, strict=True)] if relayed else []
        known = before if relayed else ports
        options = [f"--cluster.peer=127.0.0.1:{port}" for port in known]
        options += [f"--cluster.peer-timeout={PEER_TIMEOUT}s", "--cluster.reconnect-interval=1s"]
        options += [] if IS_REAL else [f"--cluster.{option}" for option in SHORT]
        self.replicas = [
            Alertmanager(
                folder / f"replica-{index}",
                config,
                *options,
                f"--cluster.listen-address=127.0.0.1:{ports[index]}",
                f"--cluster.advertise-address=127.0.0.1:{known[index]}",
            )
            for index in range(3)
        ]
        self.firing: list[dict[str, Any]] = []
        self.last = 0.0

    def start(self) -> None:
        for replica in self.replicas:
            replica.start()
        self.wait_joined()

    def stop(self) -> None:
        for replica in self.replicas:
            replica.stop()
        for relay in self.relays:
            relay.cut()

    def alive(self) -> list[Alertmanager]:
        return [replica for replica in self.replicas if replica.process and replica.process.poll() is None]

    def peers(self, replica: Alertmanager) -> int:
        return len(replica.get("status")["cluster"]["peers"])

    def wait_joined(self) -> None:
        joined = lambda: all(self.peers(replica) == 3 for replica in self.replicas)  # noqa: E731
        wait_for("the replicas have not found each other", joined)

    def leader(self) -> Alertmanager:
        """The first by name: it tells at once, the others wait whether it did."""
        return min(self.alive(), key=lambda replica: str(replica.get("status")["cluster"]["name"]))

    def send(self) -> None:
        """Send everything that fires to every replica, as Prometheus does: again each second."""
        if time.monotonic() - self.last >= 1:
            self.last = time.monotonic()
            for replica in self.alive():
                replica.push(self.firing)

    def until(self, what: str, done: Callable[[], object]) -> None:
        """Go on sending until `done` is true."""

        def ask() -> bool:
            self.send()
            return bool(done())

        wait_for(what, ask, 120)

    def settle(self) -> None:
        """Wait until the last replica would have spoken, if it had anything to say."""
        quiet = time.monotonic() + GROUP_WAIT + 2 * PEER_TIMEOUT + 1
        while time.monotonic() < quiet:
            self.send()
            time.sleep(0.05)

    def fire(self, *names: str) -> None:
        self.firing += [alert(name, severity="critical", begun=0) for name in names]
        self.last = 0.0
        self.send()


def told(sink: HttpSink) -> Counter[str]:
    """How often each alert was told for the first time in its group."""
    return Counter(request.body["groupLabels"]["alertname"] for request in sink.to("/"))


def all_told(sink: HttpSink, names: set[str]) -> bool:
    return names <= set(told(sink))


@pytest.fixture
def cluster(tmp_path: Path, sink: HttpSink) -> Iterator[Callable[..., Cluster]]:
    made: list[Cluster] = []

    def make(**options: Any) -> Cluster:
        made.append(Cluster(tmp_path, sink, **options))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_three_replicas_tell_once(cluster: Callable[..., Cluster], sink: HttpSink) -> None:
    three = cluster()
    three.fire("One", "Two")
    three.until("not told", lambda: len(told(sink)) == 2)
    three.settle()
    assert told(sink) == {"One": 1, "Two": 1}


def test_the_leader_is_killed_at_random_ten_times(
    cluster: Callable[..., Cluster], sink: HttpSink, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(SEED)
    three = cluster()
    # A group is told after its wait, by the third replica two time-outs later: a kill may fall anywhere in this.
    span = GROUP_WAIT + 2 * PEER_TIMEOUT
    each = ALERTS // KILLS
    for kill in range(KILLS):
        begin = time.monotonic()
        due = sorted(dice.uniform(0, span) for _ in range(each))
        moment = begin + dice.uniform(0, span + GROUP_WAIT)
        victim: Alertmanager | None = None
        for number, offset in enumerate(due):
            while time.monotonic() < begin + offset:
                three.send()
                if victim is None and time.monotonic() >= moment:
                    victim = three.leader()
                    victim.stop(signal.SIGKILL)
                time.sleep(0.005)
            three.fire(f"Alert{kill:02}{number:02}")
        while victim is None:
            three.send()
            if time.monotonic() >= moment:
                victim = three.leader()
                victim.stop(signal.SIGKILL)
            time.sleep(0.005)
        names = {item["labels"]["alertname"] for item in three.firing}
        three.until("an alert was missed", partial(all_told, sink, names))
        victim.start()
        three.wait_joined()
    three.settle()
    counts = told(sink)
    twice = [name for name, count in counts.items() if count > 1]
    with capsys.disabled():
        print(f"\n{KILLS} kills, {ALERTS} alerts, seed {SEED}: {ALERTS - len(counts)} missed, {len(twice)} told twice")
        if not IS_REAL:
            print(f"(short times; {REAL}=1 takes those of production)")
    assert len(counts) == ALERTS
    assert len(twice) <= ALERTS // 100, twice


def test_a_partition_misses_nothing_and_heals(cluster: Callable[..., Cluster], sink: HttpSink) -> None:
    three = cluster(relayed=True)
    three.fire("Before")
    three.until("not told", lambda: told(sink)["Before"])
    three.settle()
    for relay in three.relays:
        relay.cut()
    wait_for("they still see each other", lambda: all(three.peers(replica) == 1 for replica in three.replicas))
    three.fire("During")
    # Each is alone and cannot know whether another one told: better three times than never.
    three.until("not told by each", lambda: told(sink)["During"] == 3)
    for relay in three.relays:
        relay.heal()
    three.wait_joined()
    three.fire("After")
    three.until("not told", lambda: told(sink)["After"])
    three.settle()
    assert told(sink) == {"Before": 1, "During": 3, "After": 1}
