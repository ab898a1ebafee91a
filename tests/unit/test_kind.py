"""Where no node in namespaces can be: kind makes the local cluster where Docker is, else there are fake nodes only."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from settings.cluster import NamespacesSettings
from tests.unit import kind_programs
from tools import cluster
from tools.access import Access, attach
from tools.cluster import kind, local, parts, processes
from tools.cluster.images import Brought
from tools.cluster.state import Mode, State
from tools.console import UserError
from tools.inbox import local as inbox
from tools.reach import Reach, reach
from tools.rules import stack_settings


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose user is not root, with kind, and with a docker that answers."""
    kind_programs.install(tmp_path, monkeypatch)
    return tmp_path


def calls(machine: Path) -> list[str]:
    return (machine / "calls").read_text().splitlines()


def test_kind_makes_the_cluster_and_stop_deletes_it(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = machine / "local"
    running = cluster.start(folder)
    assert running.mode == "kind"
    assert "you are not root. kind makes the local cluster, in Docker" in capsys.readouterr().err
    name = kind.name(folder)
    assert calls(machine) == [
        f"kind create cluster --name={name} --kubeconfig={running.kubeconfig} --wait={kind.READY_SECONDS}s --config=-"
    ]
    assert running.node == f"{name}-control-plane"
    again = cluster.start(folder)
    assert "already runs" in capsys.readouterr().err
    assert again.kubeconfig == running.kubeconfig
    cluster.stop(folder)
    assert calls(machine)[-1].startswith(f"kind delete cluster --name={name}")
    assert not folder.exists()
    assert list((machine / "clusters").iterdir()) == []


def test_its_node_pulls_images_by_itself(machine: Path) -> None:
    brought = cluster.start(machine / "local").ensure_images(["docker.io/grafana/loki:3.7.8"])
    assert brought == Brought()


def test_a_cluster_that_was_deleted_by_hand_is_made_again(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = machine / "local"
    cluster.start(folder)
    (machine / "clusters" / kind.name(folder)).unlink()
    assert cluster.start(folder).mode == "kind"
    assert "gone or does not answer: starting anew" in capsys.readouterr().err
    assert [call.split()[1] for call in calls(machine)].count("create") == 2


def test_one_that_docker_has_just_started_is_waited_for(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = machine / "local"
    cluster.start(folder)
    (machine / "silent").touch()
    cluster.start(folder)
    assert "already runs" in capsys.readouterr().err
    assert [call.split()[1] for call in calls(machine)].count("create") == 1


def test_one_that_was_not_made_to_its_end_is_made_again(machine: Path) -> None:
    """kind refuses to go on with it, even where its API server answers."""
    folder = machine / "local"
    state = cluster.start(folder).state
    state.ready = False
    state.save()
    assert cluster.start(folder).state.ready
    assert [call.split()[1] for call in calls(machine)] == ["create", "delete", "create"]


def test_a_port_leads_to_a_service_and_is_opened_again(machine: Path) -> None:
    folder = machine / "local"
    running = cluster.start(folder)
    [port] = parts.free_ports("real").values()
    try:
        running.forward(port, "monitoring/loki-gateway", 8080)
        part = running.state.parts[f"forward-{port}"]
        processes.kill([part])
        running.forward(port, "monitoring/loki-gateway", 8080)
        again = running.state.parts[f"forward-{port}"]
        assert again.alive
        said = Path(again.log).read_text()
        assert "--namespace=monitoring', 'service/loki-gateway'" in said
    finally:
        cluster.stop(folder)
    assert not again.alive


def test_a_port_whose_pod_has_gone_is_opened_again_when_the_stack_is_asked(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The forward of kubectl runs on after its pod, and ends at the first call. Another's stays as it is."""
    folder = machine / "local"
    running = cluster.start(folder)
    [port] = parts.free_ports("real").values()
    try:
        running.forward(port, "monitoring/loki-gateway", 8080)
        stale = running.state.parts[f"forward-{port}"]
        urls = {"loki": f"http://127.0.0.1:{port}"}
        monkeypatch.setattr("tools.access.access", lambda found, *_: Access(found, urls, "", "", NamespacesSettings()))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            taken = listener.getsockname()[1]
            running.state.forwards[str(taken)] = ("monitoring/grafana", 3000)
            running.state.save()
            (machine / "gone").touch()
            opened = attach(folder, stack_settings("dev"), "loki")
        again = opened.running.state.parts[f"forward-{port}"]
        assert (stale.alive, again.alive) == (False, True)
    finally:
        cluster.stop(folder)


def test_a_port_that_ended_is_no_end_of_the_cluster(machine: Path) -> None:
    folder = machine / "local"
    running = cluster.start(folder)
    [port] = parts.free_ports("real").values()
    try:
        running.forward(port, "monitoring/loki-gateway", 8080)
        processes.kill([running.state.parts[f"forward-{port}"]])
        assert reach(stack_settings("dev"), folder) == Reach(str(running.kubeconfig))
    finally:
        cluster.stop(folder)


def test_a_pod_that_is_not_there_yet_is_waited_for(machine: Path) -> None:
    folder = machine / "local"
    running = cluster.start(folder)
    [port] = parts.free_ports("real").values()
    (machine / "silent").touch()
    try:
        running.forward(port, "monitoring/loki-gateway", 8080)
        assert running.state.parts[f"forward-{port}"].alive
        assert not (machine / "silent").exists()
    finally:
        cluster.stop(folder)


def test_its_kubelet_starts_on_a_machine_with_cgroup_v1(machine: Path) -> None:
    """One of Kubernetes 1.35 and later does not, unless it is told to."""
    cluster.start(machine / "local")
    config = yaml.safe_load((machine / "config.yaml").read_text())
    assert config["apiVersion"] == "kind.x-k8s.io/v1alpha4"
    [patch] = config["kubeadmConfigPatches"]
    assert yaml.safe_load(patch) == {"kind": "KubeletConfiguration", "failCgroupV1": False}


KUBEADM_FAILS = """\
ERROR: failed to create cluster: failed to init node with kubeadm: command "docker exec" failed with error: 1

Command Output: I1121 10:23:56.051014     118 initconfiguration.go:262] loading configuration
[certs] Generating "ca" certificate and key
error: error execution phase wait-control-plane: the kubelet is not healthy
k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow.(*Runner).Run.func1
runtime.goexit
\truntime/proc.go:290"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ERROR: no space left", "ERROR: no space left"),
        ("no such command", "no such command"),
        (
            KUBEADM_FAILS,
            f"{KUBEADM_FAILS.splitlines()[0]}\nerror: error execution phase wait-control-plane: "
            "the kubelet is not healthy",
        ),
    ],
)
def test_what_kind_says_is_told(machine: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str) -> None:
    """The lines that name the error, without what kubeadm says beside it; all of it is in a file."""
    monkeypatch.setenv("BROKEN", said)
    log = machine / "local" / "logs" / "kind.log"
    with pytest.raises(UserError) as raised:
        cluster.start(machine / "local")
    assert str(raised.value) == f"kind create cluster failed: {told}\nAll that it said: {log}"
    assert log.read_text() == f"{said}\n"


def test_a_command_runs_on_its_node(machine: Path) -> None:
    running = cluster.start(machine / "local")
    (machine / "programs" / "docker").write_text('#!/bin/sh\necho "$@"; test "$4" != false || exit 1\n')
    assert running.run_on_node("ls", "/") == f"exec {running.node} ls /\n"
    with pytest.raises(UserError, match="ls in the node of kind failed"):
        running.run_on_node("ls", "false")


def test_a_node_image_that_cannot_be_pulled_comes_with_what_to_do(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words are those of kind 0.33."""
    said = 'ERROR: failed to create cluster: failed to pull image "kindest/node:v1.37.0"'
    monkeypatch.setenv("BROKEN", f"{said}\n\nCommand Output: Error response from daemon: no such host")
    with pytest.raises(
        UserError, match=r'(?s)failed to pull image "kindest/node.*daemon: no such host.*registry-mirrors.*--fake-nodes'
    ):
        cluster.start(machine / "local")


@pytest.mark.parametrize(
    ("missing", "docker", "words"),
    [
        ("docker", "", "no docker is on PATH"),
        ("kind", "", "Docker is here, but no kind is on PATH"),
        ("", "#!/bin/sh\nexit 1\n", "docker does not answer"),
    ],
)
def test_without_it_there_are_fake_nodes_only_and_that_is_said(
    machine: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: str,
    docker: str,
    words: str,
) -> None:
    if missing:
        (machine / "programs" / missing).unlink()
    else:
        (machine / "programs" / "docker").write_text(docker)
    monkeypatch.setenv("PATH", str(machine / "programs"))
    started: list[str] = []

    def note(folder: Path, mode: Mode) -> State:
        started.append(mode)
        return State(folder, mode, {})

    monkeypatch.setattr(local, "_start_new", note)
    cluster.start(machine / "local")
    assert started == ["fake"]
    said = capsys.readouterr().err
    assert f"No real node here: you are not root; and none by kind: {words}" in said
    assert "fake nodes only: objects are real, no container runs, no alert arrives" in said


def test_nothing_is_asked_of_a_cluster_that_runs_nothing(machine: Path) -> None:
    State(machine, "fake", {}, ready=True).save()
    with pytest.raises(UserError, match="fake nodes only: no container runs on it"):
        attach(machine, stack_settings("dev"))


def test_the_inbox_is_a_pod_there_and_its_program_runs_from_the_config_map(tmp_path: Path) -> None:
    [_, sources, service, workload] = inbox.pod_objects()
    spec = workload["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert service["spec"]["selector"] == workload["spec"]["template"]["metadata"]["labels"]
    mounted = tmp_path / container["volumeMounts"][0]["mountPath"].removeprefix("/app/")
    mounted.mkdir(parents=True)
    for name, text in sources["data"].items():
        (mounted / name).write_text(text)
    shown = subprocess.run(
        [sys.executable, *container["command"][1:3], "--help"],
        env={"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "--address" in shown
    assert (mounted / "page.html").exists()
