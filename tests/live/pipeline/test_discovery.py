"""Pods of a real API server, their log files where a node has them, each real log agent and a real Loki.

No kubelet runs: the API server says what is on the node, and the test writes the files that would be there.
"""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.live.pipeline.conftest import Node
from tests.live.pipeline.test_lines import cri
from tools.cluster import Cluster
from tools.faults import daemons
from tools.faults.agents import Pods, agent

HERE, ELSEWHERE = "fake-plain", "fake-gpu"
LISTS = re.compile(r'^apiserver_request_total\{.*resource="pods",scope="cluster".*verb="LIST".*\} (\d+)$', re.MULTILINE)
HASH = "0123456789abcdef0123456789abcdef"
PORTS = [{"name": "http", "containerPort": 80}, {"name": "metrics", "containerPort": 90}]


def container(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "example.org/none:1", **more}


def pod(namespace: str, name: str, labels: dict[str, str], node: str = HERE, **more: Any) -> dict[str, Any]:
    spec = {"nodeName": node, "tolerations": [{"operator": "Exists"}], "containers": [container("main")], **more}
    annotations = spec.pop("annotations", {})
    meta = {"namespace": namespace, "name": name, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


PODS = [
    pod("shop", "web-1", {"app.kubernetes.io/name": "web", "app": "other"}, initContainers=[container("migrate")]),
    pod("shop", "pair-1", {"k8s-app": "pair"}, containers=[container("main", ports=PORTS), container("sidecar")]),
    pod("shop", "bare", {}),
    pod("kube-system", "static-etcd", {"component": "etcd"}, annotations={"kubernetes.io/config.hash": HASH}),
    pod("shop", "far-1", {"app": "far"}, node=ELSEWHERE),
]
WANTED = {
    # (namespace, pod, container): app
    ("shop", "web-1", "migrate"): "web",
    ("shop", "web-1", "main"): "web",
    ("shop", "pair-1", "main"): "pair",
    ("shop", "pair-1", "sidecar"): "pair",
    ("shop", "bare", "main"): "bare",
    ("kube-system", "static-etcd", "main"): "static-etcd",
}


@pytest.fixture(scope="module")
def uids(local: Cluster) -> dict[tuple[str, str], str]:
    """The pods, and the UID that each got."""
    local.kubectl("create", "namespace", "shop")
    # Pods are refused until the namespace has its account.
    daemons.until(
        "the account of the namespace",
        lambda: local.kubectl("get", "serviceaccount", "default", "--namespace=shop", "--ignore-not-found"),
    )
    pods = json.dumps({"apiVersion": "v1", "kind": "List", "items": PODS})
    local.kubectl("apply", "--server-side", "--filename=-", stdin=pods)
    there = json.loads(local.kubectl("get", "pods", "--all-namespaces", "--output=json"))["items"]
    return {(p["metadata"]["namespace"], p["metadata"]["name"]): p["metadata"]["uid"] for p in there}


def write(logs: Path, uids: dict[tuple[str, str], str]) -> None:
    """Two lives of each container, in folders as kubelet names them; the pod of another node has its files too."""
    for item in PODS:
        namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
        uid = HASH if name.startswith("static") else uids[namespace, name]
        for one in [*item["spec"].get("initContainers", []), *item["spec"]["containers"]]:
            folder = logs / f"{namespace}_{name}_{uid}" / one["name"]
            folder.mkdir(parents=True)
            for life in (0, 1):
                (folder / f"{life}.log").write_text(cri(f"{namespace}/{name}/{one['name']} life {life}"))


def lists_of_pods(local: Cluster) -> int:
    """How often the API server was asked for all pods, by whomever; a watch counts only once it ends."""
    return sum(int(count) for count in LISTS.findall(local.kubectl("get", "--raw", "/metrics")))


def test_every_line_is_found_under_its_labels(local: Cluster, uids: dict[tuple[str, str], str], node: Node) -> None:
    logs = node.folder / "pods"
    write(logs, uids)
    before = lists_of_pods(local)
    reader = agent(node.folder, node.settings(), node.loki.url, Pods(local.kubeconfig, logs), node=HERE)
    try:
        reader.start().ready()
        daemons.until("every line in Loki", lambda: len(node.lines()) >= 2 * len(WANTED))
        asked = lists_of_pods(local) - before
    finally:
        reader.end(signal.SIGTERM)
    assert 1 <= asked <= 3, "discovery is one list, and then a watch"
    found = {(s["namespace"], s["pod"], s["container"]): (s, sorted(lines)) for s, lines in node.streams()}
    assert len(found) == len(node.streams())
    assert found == {
        (namespace, name, one): (
            {
                "cluster": "dev",
                "namespace": namespace,
                "pod": name,
                "container": one,
                "app": app,
                "node": HERE,
                "job": f"{namespace}/{app}",
            },
            [f"{namespace}/{name}/{one} life {life}" for life in (0, 1)],
        )
        for (namespace, name, one), app in WANTED.items()
    }
