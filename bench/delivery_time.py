"""Times the way from a fault to its message on the running local stack, with the stack's own intervals and waits.

Two ways, RUNS times each, every run in a namespace and so in a message of its own, begun at uneven moments:

- a log line of a pod, to the webhook's message of WorkloadCreationForbidden: LogQL, critical;
- a pod whose status says Evicted, to that of PodEvicted: PromQL, a warning. And to that of a copy of the rule with the
  severity critical, which is told after a shorter wait.

None of these alerts waits by itself (`for`). After `at Alertmanager` comes only the wait of the severity, in which
alerts of one namespace are gathered into one message.

    make up
    python -m bench.delivery_time [--runs N] [--out FILE]
"""

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from components.monitors import GROUP_VERSION
from settings import Settings
from tools.access import Access, attach
from tools.cluster import LOCAL
from tools.console import UserError, run, say
from tools.fire import __main__ as fire
from tools.fire.cause import BUSYBOX, Ground, Object, pod, shell
from tools.fire.workloads import ON_OWN_NODE, evict
from tools.rules import stack_settings

NAMESPACE = "bench-delivery"
LINE, METRIC, COPY = "WorkloadCreationForbidden", "PodEvicted", "BenchPodEvicted"
GOALS = {LINE: 30, METRIC: None, COPY: 45}
"""Seconds that 95 of 100 messages should take; None where there is no goal."""
WAYS = {LINE: "line to message, critical", METRIC: "metric to message, warning", COPY: "metric to message, critical"}
BETWEEN_SECONDS = 17
"""Against the intervals of 15, 30 and 60 s it gives runs of every phase."""
POLL_SECONDS = 1.0
LAST_SECONDS = 300
"""How long the last message may take."""


@dataclass
class Times:
    """Seconds since the epoch, by alert and namespace: when a fault began, was at Alertmanager, and was told."""

    began: dict[tuple[str, str], float] = field(default_factory=dict)
    taken: dict[tuple[str, str], float] = field(default_factory=dict)
    told: dict[tuple[str, str], float] = field(default_factory=dict)

    def look(self, access: Access) -> None:
        """Note what has arrived since the last look; Alertmanager's own time is as exact as the looks are frequent."""
        now = time.time()
        for alert in access.read("alertmanager", "/api/v2/alerts"):
            self.taken.setdefault(_key(alert["labels"]), now)
        for message in access.read("inbox", "/messages")["messages"]:
            for alert in message["alerts"]:
                self.told.setdefault(_key(alert["labels"]), message["received"])

    def seconds(self, alert: str, ends: dict[tuple[str, str], float]) -> list[float]:
        """How long each run of an alert took until its end."""
        return [ends[key] - began for key, began in self.began.items() if key[0] == alert]


def _key(labels: dict[str, str]) -> tuple[str, str]:
    return labels["alertname"], labels.get("namespace", "")


def names(runs: int) -> list[str]:
    """The namespace of each run, another one for each call: an alert that was told before is not told again."""
    started = int(time.time())
    return [f"bench-{started}-{number}" for number in range(runs)]


def writer(places: list[str]) -> Object:
    """A pod that writes one line a run, as the event exporter does; the first after half a minute."""
    content = {"reason": "FailedCreate", "type": "Warning", "message": 'pods "web-1" is forbidden: exceeded quota'}
    involved = {"kind": "ReplicaSet", "namespace": "PLACE", "name": "web"}
    before, after = json.dumps({**content, "involvedObject": involved}).split("PLACE")
    script = (
        f"sleep 30; for place in {' '.join(places)}; do echo '{before}'$place'{after}'; sleep {BETWEEN_SECONDS}; done"
    )
    return pod(shell(f"{script}; sleep infinity"), "writer", **{"app.kubernetes.io/name": "event-exporter"})


def critical_copy(settings: Settings) -> Object:
    """The rule of evicted pods once more, as the stack ships it, under another name and critical."""
    _, rule = fire.rules(settings)[METRIC]
    labels = {**rule["labels"], "severity": "critical"}
    # The interval is that of the stack's groups with a critical alert that waits so short.
    group = {"name": NAMESPACE, "interval": "15s", "rules": [{**rule, "alert": COPY, "labels": labels}]}
    meta = {"name": NAMESPACE, "namespace": NAMESPACE}
    return {"apiVersion": GROUP_VERSION, "kind": "PrometheusRule", "metadata": meta, "spec": {"groups": [group]}}


def apply(access: Access, *objects: Object) -> None:
    """Apply objects, each into the namespace that it names or, where it names none, into the benchmark's own."""
    for item in objects:
        if item["kind"] != "Namespace":
            item["metadata"].setdefault("namespace", NAMESPACE)
        access.running.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(item))


def namespace(name: str) -> Object:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {NAMESPACE: "run"}}}


def measure(access: Access, settings: Settings, places: list[str]) -> Times:
    """All runs. Raises UserError where a message does not come."""
    times = Times()
    apply(access, namespace(NAMESPACE), critical_copy(settings))
    for place in places:
        victim: dict[str, Any] = pod({**ON_OWN_NODE, "nodeName": "fake-plain"})
        apply(access, namespace(place), {**victim, "metadata": {**victim["metadata"], "namespace": place}})
    _wait_for_copy(access)
    apply(access, writer(places))
    wanted = {(alert, place) for place in places for alert in WAYS}
    begins = {time.time() + 30 + BETWEEN_SECONDS * number: place for number, place in enumerate(places)}
    deadline = max(begins) + LAST_SECONDS
    while missing := wanted - set(times.told):
        if begins and time.time() >= min(begins):
            place = begins.pop(min(begins))
            times.began[METRIC, place] = times.began[COPY, place] = time.time()
            evict(Ground(access, place))
            say(f"{len(places) - len(begins)} of {len(places)} runs begun, {len(times.told.keys() & wanted)} messages")
        times.look(access)
        if time.time() > deadline:
            raise UserError(f"no message of {', '.join(' in '.join(key) for key in sorted(missing))}")
        time.sleep(POLL_SECONDS)
    query = quote(f'{{namespace="{NAMESPACE}"}}')
    found = access.read("loki", f"/loki/api/v1/query_range?query={query}&limit=5000&since=1h")["data"]["result"]
    for stamp, text, *_ in (value for stream in found for value in stream["values"]):
        place = json.loads(text)["involvedObject"]["namespace"]
        if place in places:
            times.began[LINE, place] = int(stamp) / 10**9
    return times


def _wait_for_copy(access: Access) -> None:
    deadline = time.time() + LAST_SECONDS
    while COPY not in json.dumps(access.read("prometheus", "/api/v1/rules")):
        if time.time() > deadline:
            raise UserError(f"Prometheus has not loaded the rule {COPY}")
        time.sleep(POLL_SECONDS)


def clean(access: Access, *, wait: bool) -> None:
    """Delete every namespace of a run, and with them all objects; `wait` until they are gone."""
    how = [f"--wait={json.dumps(wait)}", "--timeout=120s"]
    access.running.kubectl("delete", "namespaces", f"--selector={NAMESPACE}=run", *how)


def quantile(values: list[float], percent: int) -> float:
    """The smallest value that so many percent of the values do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def main() -> None:
    """Print the table; write the figures with their conditions where asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.delivery_time", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--stack", default="dev", help="the name in Pulumi.<stack>.yaml")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    settings = stack_settings(arguments.stack)
    access = attach(LOCAL, settings)
    access.running.ensure_images([BUSYBOX])
    # What a run left that was killed, or that another just deletes: nothing can be made in a namespace that ends.
    clean(access, wait=True)
    try:
        times = measure(access, settings, names(arguments.runs))
    finally:
        with fire.undisturbed():
            clean(access, wait=False)
    table = Table("way", "at Alertmanager p50", "p95", "message p50", "p95", "goal p95", title="seconds")
    figures = {
        alert: {"taken": times.seconds(alert, times.taken), "told": times.seconds(alert, times.told)} for alert in WAYS
    }
    for alert, way in WAYS.items():
        taken, told = figures[alert]["taken"], figures[alert]["told"]
        values = (statistics.median(taken), quantile(taken, 95), statistics.median(told), quantile(told, 95))
        table.add_row(way, *(f"{value:.0f}" for value in values), str(GOALS[alert] or "none"))
    conditions = (
        f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}, {arguments.runs} runs each"
    )
    Console(width=120).print(table, conditions)
    if arguments.out:
        arguments.out.write_text(json.dumps({"conditions": conditions, "seconds": figures}, indent=1))


if __name__ == "__main__":
    run(main)
