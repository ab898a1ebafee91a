"""Events of a real API server, a real Alloy with the event exporter's configuration, and a real Loki.

Each event and each of its updates is a line in our format under our labels, and a query of the kind that our rules use
reads it.
"""

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from components import central_logs
from settings.central_logs import CentralLogsSettings
from tests.live.pipeline.conftest import Node
from tools.cluster import Cluster
from tools.faults import daemons
from tools.faults.agents import event_exporter
from tools.faults.daemons import Daemon

MESSAGE = 'MountVolume.SetUp failed for volume "data" : <nil> & "quoted"\nsecond line'


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def mount(count: int, pod: str = "web-1", namespace: str = "default") -> dict[str, Any]:
    """An event as kubelet writes and updates it."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{pod}.mount", "namespace": namespace},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod},
        "reason": "FailedMount",
        "type": "Warning",
        "message": MESSAGE,
        "count": count,
        "source": {"component": "kubelet", "host": "node-1"},
        "lastTimestamp": now(),
    }


def of_node(name: str) -> dict[str, Any]:
    """An event of an object without a namespace, as the node controller writes it."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.lost", "namespace": "default"},
        "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": name},
        "reason": "NodeNotReady",
        "type": "Warning",
        "message": "Node status is now: NodeNotReady",
        "count": 1,
        "source": {"component": "node-controller"},
        "lastTimestamp": now(),
    }


def of_new_api() -> dict[str, Any]:
    """An event as the scheduler writes it: its count stands in a series."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "web-2.scheduling", "namespace": "default"},
        "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": "default", "name": "web-2"},
        "action": "Scheduling",
        "reason": "FailedScheduling",
        "type": "Warning",
        "note": "0/3 nodes are available",
        "reportingController": "default-scheduler",
        "reportingInstance": "scheduler-1",
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


def line(name: str, reason: str, message: str, count: int, component: str, host: str) -> dict[str, Any]:
    """The line that our rules expect."""
    return {
        "reason": reason,
        "type": "Warning",
        "message": message,
        "count": count,
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": name},
        "source": {"component": component, "host": host},
    }


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, loki: Daemon) -> Node:
    return Node(tmp_path_factory.mktemp("events"), loki, "events", "alloy")


def apply(local: Cluster, item: dict[str, Any]) -> None:
    local.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(item))


@pytest.fixture(scope="module")
def exported(local: Cluster, node: Node) -> Iterator[Node]:
    """The exporter runs while an event comes, is updated twice, and another comes by the new API."""
    exporter = event_exporter(node.folder, node.settings(), node.loki.url, local.kubeconfig)

    def write(item: dict[str, Any], text: str) -> None:
        apply(local, item)
        daemons.until(f"{text} in Loki", lambda: any(text in one for one in node.lines()))

    try:
        exporter.start().ready()
        for count in (1, 8, 9):
            write(mount(count), f'"count":{count},')
        write(of_new_api(), "FailedScheduling")
        yield node
    finally:
        exporter.end(signal.SIGTERM)


def of_pods(node: Node) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Lines about the pods of this test, with their labels; the cluster writes events of its own."""
    found = [(labels, json.loads(text)) for labels, lines in node.streams() for text in lines]
    return [(labels, entry) for labels, entry in found if entry["involvedObject"]["name"].startswith("web-")]


def test_every_update_is_a_line_in_our_format(exported: Node) -> None:
    found = sorted((entry for _, entry in of_pods(exported)), key=lambda entry: (entry["reason"], entry["count"]))
    assert found == [
        *(line("web-1", "FailedMount", MESSAGE, count, "kubelet", "node-1") for count in (1, 8, 9)),
        line("web-2", "FailedScheduling", "0/3 nodes are available", 1, "default-scheduler", "scheduler-1"),
    ]


def test_labels_are_those_of_the_exporter(exported: Node) -> None:
    labels = {"cluster": "dev", "namespace": "monitoring", "app": "event-exporter", "job": "monitoring/event-exporter"}
    assert all(found == labels for found, _ in of_pods(exported))


def test_a_rule_reads_the_count(exported: Node) -> None:
    query = '{app="event-exporter"} |= "FailedMount" | json count="count", pod="involvedObject.name" | unwrap count'
    answer = exported.loki.get(
        "/loki/api/v1/query", exported.tenant, query=f"max by (pod) (max_over_time({query} [5m]))"
    )
    [value] = answer["data"]["result"]
    assert (value["metric"], float(value["value"][1])) == ({"pod": "web-1"}, 9)


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ({"dropNamespaces": ["scratch", "tests"]}, {"default", ""}),
        ({"dropNamespaces": ["tests", "default"]}, {"scratch"}),
        ({"keepNamespaces": ["default", "shop"]}, {"default", ""}),
    ],
)
def test_a_hub_gets_events_of_the_chosen_namespaces(
    tmp_path: Path, local: Cluster, loki: Daemon, choice: dict[str, list[str]], kept: set[str]
) -> None:
    """By the second exporter's own configuration; the same lines under the same labels. A node is in no namespace."""
    [(kind, names)] = choice.items()
    name = "-".join([kind.lower(), *names])
    hub = Node(tmp_path, loki, f"hub-{name}", "alloy")
    central = CentralLogsSettings.model_validate({"url": loki.url, "passwordSecret": "hubLogs", **choice})
    chosen = hub.settings().model_copy(update={"central_logs": central})
    blocks = central_logs.event_blocks(chosen, central)
    exporter = event_exporter(tmp_path, chosen, loki.url, local.kubeconfig, blocks)
    apply(local, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "scratch"}})

    def seen() -> set[str]:
        return {entry["involvedObject"]["namespace"] for _, entry in of_pods(hub)}

    try:
        exporter.start().ready()
        # What is left out comes first: it would be there by the time that the others are.
        for namespace in sorted({"scratch", "default", ""}, key=kept.__contains__):
            pod = f"web-{name}"
            apply(local, mount(3, pod, namespace) if namespace else of_node(pod))
        daemons.until("events at the hub", lambda: seen() >= kept)
        found = of_pods(hub)
    finally:
        exporter.end(signal.SIGTERM)
    assert seen() == kept
    labels = {"cluster": "dev", "namespace": "monitoring", "app": "event-exporter", "job": "monitoring/event-exporter"}
    assert all(has == labels for has, _ in found)
    if "default" in kept:
        assert line(f"web-{name}", "FailedMount", MESSAGE, 3, "kubelet", "node-1") in [entry for _, entry in found]
