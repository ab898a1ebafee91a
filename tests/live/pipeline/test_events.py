"""The event exporter's stages turn what Alloy writes into our line format, and a rule reads it.

Alloy itself cannot be built here. Its stages are Promtail's, so a real Promtail runs them on such lines.
"""

import json
import signal
from typing import Any

import pytest

from components import event_exporter_config
from tests.live.pipeline.conftest import Node
from tools.faults import daemons

# Written by Alloy for core events, fields in the order of its JSON (event_controller.go); the namespace is a label.
MOUNT = {
    "count": 8,
    "eventRV": "12",
    "kind": "Pod",
    "msg": 'MountVolume.SetUp failed for volume "data" : <nil> & "quoted"\nsecond line',
    "name": "web-1",
    "objectAPIversion": "v1",
    "reason": "FailedMount",
    "reportingcontroller": "kubelet",
    "sourcecomponent": "kubelet",
    "sourcehost": "node-1",
    "type": "Warning",
}
NEW_API = {"kind": "Node", "msg": "", "name": "node-1", "reason": "Ready", "type": "Normal"}


def contract(line: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The line that our rules expect."""
    return {
        "reason": line["reason"],
        "type": line["type"],
        "message": line["msg"],
        "count": line.get("count", 1),
        "involvedObject": {"kind": line["kind"], "namespace": namespace, "name": line["name"]},
        "source": {"component": line.get("sourcecomponent", ""), "host": line.get("sourcehost", "")},
    }


@pytest.mark.parametrize("written", [MOUNT, MOUNT | {"count": 9}, NEW_API], ids=["event", "update", "new-api"])
def test_lines_keep_the_contract(node: Node, written: dict[str, Any]) -> None:
    settings = node.settings()
    folder = node.folder / "events"
    folder.mkdir()
    (folder / "0.log").write_text(json.dumps(written) + "\n")

    def scrape(content: dict[str, Any]) -> None:
        daemons.files_of(folder, namespace="shop", job="loki.source.kubernetes_events", instance="x")(content)
        content["pipeline_stages"] = event_exporter_config.pipeline(settings)

    promtail = daemons.promtail(node.folder, settings, node.loki.url, scrapes=scrape)
    try:
        promtail.start().ready()
        daemons.until("the event in Loki", node.lines, patience=30)
    finally:
        promtail.end(signal.SIGTERM)
    [(labels, [line])] = node.streams()
    assert labels == {
        "cluster": "dev",
        "namespace": "monitoring",
        "app": "event-exporter",
        "job": "monitoring/event-exporter",
    }
    assert json.loads(line) == contract(written, "shop")
    query = '{app="event-exporter"} | json count="count", where="involvedObject.namespace" | unwrap count'
    answer = node.loki.get("/loki/api/v1/query", node.tenant, query=f"max by (where) (max_over_time({query} [5m]))")
    [value] = answer["data"]["result"]
    assert (value["metric"], float(value["value"][1])) == ({"where": "shop"}, written.get("count", 1))
