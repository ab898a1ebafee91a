"""The local cluster of fake nodes: it starts, answers, changes nothing when started again, and leaves nothing."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.traces import wait_for
from tools import cluster
from tools.cluster import processes
from tools.cluster.state import load
from tools.console import UserError

PARTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: worker, namespace: default}
spec:
  nodeSelector: {nvidia.com/gpu.present: "true"}
  containers:
    - {name: worker, image: example.org/worker:1, resources: {limits: {nvidia.com/gpu: 1}}}
"""
CLAIMING_POD = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: default}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 50Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: keeper, namespace: default}
spec:
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
  containers: [{name: keeper, image: example.org/keeper:1}]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cluster.Cluster]:
    with cluster.fake(tmp_path_factory.mktemp("local")) as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A state folder; what a test left running in it is stopped."""
    yield tmp_path / "cluster"
    cluster.stop(tmp_path / "cluster")


def pids(running: cluster.Cluster) -> dict[str, int]:
    state = load(running.state.folder)
    assert state is not None
    assert not state.dead
    return {name: part.pid for name, part in state.parts.items()}


def apply(running: cluster.Cluster, manifest: str) -> None:
    running.kubectl("apply", "--server-side", "--filename=-", stdin=manifest)


def test_every_part_runs_and_the_nodes_are_ready(running: cluster.Cluster) -> None:
    assert list(pids(running)) == PARTS
    assert cluster.status(running.state.folder)[-1] == "nodes not Ready: none"
    nodes = {node["metadata"]["name"]: node for node in json.loads(running.kubectl("get", "nodes", "-o=json"))["items"]}
    assert sorted(nodes) == ["fake-gpu", "fake-plain"]
    assert nodes["fake-gpu"]["status"]["allocatable"]["nvidia.com/gpu"] == "1"
    assert nodes["fake-gpu"]["metadata"]["labels"]["nvidia.com/gpu.present"] == "true"


def test_it_tells_the_version_that_is_pinned(running: cluster.Cluster) -> None:
    version = json.loads(running.kubectl("version", "--output=json"))["serverVersion"]
    assert (version["gitVersion"], version["major"], version["minor"]) == ("v1.36.3", "1", "36")


def test_a_pod_that_asks_for_gpus_is_scheduled_and_looks_ready(running: cluster.Cluster) -> None:
    running.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=180s")
    apply(running, POD)
    running.kubectl("wait", "--for=condition=Ready", "pod/worker", "--timeout=180s")
    assert running.kubectl("get", "pod/worker", "-o=jsonpath={.spec.nodeName}") == "fake-gpu"


def test_a_claim_of_the_default_class_is_bound(running: cluster.Cluster) -> None:
    running.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=180s")
    apply(running, CLAIMING_POD)
    running.kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/data", "--timeout=180s")
    running.kubectl("wait", "--for=condition=Ready", "pod/keeper", "--timeout=180s")


def test_pod_security_is_enforced(running: cluster.Cluster) -> None:
    running.kubectl("create", "namespace", "tight")
    running.kubectl("label", "namespace", "tight", "pod-security.kubernetes.io/enforce=restricted")
    running.kubectl("wait", "--for=create", "serviceaccount/default", "--namespace=tight", "--timeout=180s")
    manifest = POD.replace("namespace: default", "namespace: tight")

    def refusal() -> str:
        try:
            return running.kubectl("create", "--dry-run=server", "--filename=-", stdin=manifest)
        except UserError as error:
            return str(error)

    # The admission hears of the namespace's label a moment later.
    wait_for("refusal", refusal, lambda text: "violates PodSecurity" in text, 180)


def test_strangers_may_not_read(running: cluster.Cluster) -> None:
    with pytest.raises(UserError, match=r"Forbidden"):
        running.kubectl("get", "pods", "--as=system:serviceaccount:default:default")


def test_a_second_start_changes_nothing(running: cluster.Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    before = pids(running)
    again = cluster.start(running.state.folder, fake_nodes_only=True)
    assert "already runs" in capsys.readouterr().err
    assert again.kubeconfig == running.kubeconfig
    assert pids(running) == before


def test_a_killed_part_is_reported_and_started_again(
    running: cluster.Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    before = pids(running)
    os.kill(before["kube-scheduler"], signal.SIGKILL)
    state = load(running.state.folder)
    assert state is not None
    processes.wait_for("end of the scheduler", lambda: state.dead == ["kube-scheduler"], 120, [])
    assert any(line.startswith("kube-scheduler: ended") for line in cluster.status(running.state.folder))
    cluster.start(running.state.folder, fake_nodes_only=True)
    assert "kube-scheduler" in capsys.readouterr().err
    after = pids(running)
    assert after.pop("kube-scheduler") != before.pop("kube-scheduler")
    assert after == before


def test_stop_leaves_no_process_and_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with cluster.fake(tmp_path) as started:
        parts = list(started.state.parts.values())
        assert all(part.alive for part in parts)
    assert not any(part.alive for part in parts)
    assert not (tmp_path / "cluster").exists()
    cluster.stop(tmp_path / "cluster")
    assert "nothing to do" in capsys.readouterr().err


def test_a_half_started_cluster_can_be_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tools.cluster.local.processes.wait_for", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cluster.start(folder, fake_nodes_only=True)
    state = load(folder)
    assert state is not None
    assert list(state.parts) == ["etcd", "kube-apiserver"]
    cluster.stop(folder)
    assert not any(part.alive for part in state.running())


def test_a_part_that_cannot_start_is_named_with_its_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.cluster.control_plane.SERVICE_CIDR", "nonsense")
    with pytest.raises(UserError, match=r"kube-apiserver ended while waiting .*kube-apiserver\.log:\n") as failure:
        cluster.start(folder, fake_nodes_only=True)
    assert "service-cluster-ip-range[0] is not a valid cidr" in str(failure.value)


def test_a_port_that_was_taken_meanwhile_is_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch, running: cluster.Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    from tools.cluster import parts  # noqa: PLC0415

    free, taken = parts.free_ports, running.state.ports["api"]
    first = iter([{**free("fake"), "api": taken}])
    monkeypatch.setattr("tools.cluster.local.parts.free_ports", lambda mode: next(first, None) or free(mode))
    second = cluster.start(folder, fake_nodes_only=True)
    assert second.state.ports["api"] != taken
    assert "took a port" in capsys.readouterr().err
