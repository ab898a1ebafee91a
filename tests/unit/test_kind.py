"""Where no node in namespaces can be: kind makes the local cluster where Docker is, else there are fake nodes only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import cluster
from tools.access import attach
from tools.cluster import kind, local, namespaces, parts, processes
from tools.cluster.images import Brought
from tools.cluster.state import Mode, State
from tools.console import UserError
from tools.inbox import local as inbox
from tools.rules import stack_settings

KIND = """\
#!/bin/sh
# Remembers its clusters as files of the folder CLUSTERS, and every call in the file CALLS.
echo "kind $*" >> "$CALLS"
for argument; do
  case "$argument" in
    --name=*) name="${argument#--name=}" ;;
    --kubeconfig=*) config="${argument#--kubeconfig=}" ;;
  esac
done
case "$1 $2" in
  "create cluster") test -z "$BROKEN" || { echo "ERROR: $BROKEN" >&2; exit 1; }
                    touch "$CLUSTERS/$name"; echo "apiVersion: v1" > "$config" ;;
  "get clusters") ls "$CLUSTERS" ;;
  "delete cluster") rm -f "$CLUSTERS/$name" ;;
esac
"""
KUBECTL = f"""\
#!{sys.executable}
# A kubectl whose API server is ready, and whose port-forward listens until it is killed.
import socket, sys, time
if "port-forward" in sys.argv:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[-1].partition(":")[0])))
    print(sys.argv[1:], flush=True)
    time.sleep(600)
print("ok", end="")
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose user is not root, with kind, and with a docker that answers."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (tmp_path / "clusters").mkdir()
    for name, text in {"kind": KIND, "docker": "#!/bin/sh\nexit 0\n", "kubectl": KUBECTL}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("CLUSTERS", str(tmp_path / "clusters"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setattr(namespaces, "why_not", lambda: "you are not root")
    monkeypatch.setattr("tools.binaries.find", lambda name: programs / name)
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
        f"kind create cluster --name={name} --kubeconfig={running.kubeconfig} --wait={kind.READY_SECONDS}s"
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


def test_what_kind_says_is_told(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "no space left")
    with pytest.raises(UserError, match="kind create cluster failed: ERROR: no space left"):
        cluster.start(machine / "local")


def test_a_node_image_that_cannot_be_pulled_comes_with_what_to_do(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words are those of kind 0.33."""
    monkeypatch.setenv("BROKEN", 'failed to create cluster: failed to pull image "kindest/node:v1.37.0"')
    with pytest.raises(UserError, match=r'(?s)failed to pull image "kindest/node.*registry-mirrors.*--fake-nodes'):
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
