"""Pods of a real API server, their log files where a node has them, a real Promtail and a real Loki.

No kubelet runs: the API server says what is on the node, and the test writes the files that would be there.
"""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.pipeline.conftest import Node
from tests.live.pipeline.test_lines import cri
from tools import cluster
from tools.cluster import Cluster
from tools.faults import daemons

HERE, ELSEWHERE = "fake-plain", "fake-gpu"
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
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster.fake(tmp_path_factory.mktemp("discovery")) as running:
        yield running


def create(local: Cluster, folder: Path) -> dict[tuple[str, str], str]:
    """The pods, and the UID that each got."""
    local.kubectl("create", "namespace", "shop")
    # Pods are refused until the namespace has its account.
    daemons.until(
        "the account of the namespace",
        lambda: local.kubectl("get", "serviceaccount", "default", "--namespace=shop", "--ignore-not-found"),
    )
    file = folder / "pods.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": PODS}))
    local.kubectl("apply", "--server-side", "--filename", str(file))
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


def test_every_line_is_found_under_its_labels(local: Cluster, node: Node) -> None:
    logs = node.folder / "pods"
    write(logs, create(local, node.folder))

    def scrape(content: dict[str, Any]) -> None:
        content["kubernetes_sd_configs"][0]["kubeconfig_file"] = str(local.kubeconfig)
        for rule in content["relabel_configs"]:
            if rule["target_label"] == "__path__":
                rule["replacement"] = rule["replacement"].replace("/var/log/pods", str(logs))

    promtail = daemons.promtail(node.folder, node.settings(), node.loki.url, scrapes=scrape, node=HERE)
    try:
        promtail.start().ready()
        daemons.until("every line in Loki", lambda: len(node.lines()) >= 2 * len(WANTED), patience=60)
    finally:
        promtail.end(signal.SIGTERM)
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
