"""A part of the local cluster that ends while a stack is deployed is what a person is told, not the EOF of others."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import apply, cluster, up
from tools.cluster import processes
from tools.cluster.kubectl import kubectl
from tools.cluster.state import State, load
from tools.console import UserError, run

REASON = "this is a test"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "local"
    cluster.stop(tmp_path / "local")


def state_of(folder: Path) -> State:
    state = load(folder)
    assert state is not None
    return state


def controlled(kubeconfig: Path) -> bool:
    return "default" in kubectl(kubeconfig, "get", "serviceaccounts", "--namespace=default", "--output=name")


def test_an_api_server_that_dies_during_make_up_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed between two commands of the same apply; the next `make up` goes on."""
    killed: list[int] = []

    def deadly(kubeconfig: Path, *arguments: str, stdin: str | None = None) -> str:
        if arguments[0] == "apply" and not killed:
            # While it builds its controllers, in its first seconds, the controller manager would end with the server.
            processes.wait_for("what controllers make", lambda: controlled(kubeconfig), 60, [])
            killed.append(state_of(folder).parts["kube-apiserver"].pid)
            os.kill(killed[0], signal.SIGKILL)
        return kubectl(kubeconfig, *arguments, stdin=stdin)

    monkeypatch.setattr(up, "why_no_engine", lambda: REASON)
    monkeypatch.setattr(apply, "kubectl", deadly)
    with pytest.raises(SystemExit) as ended:
        run(lambda: up.up_local("dev", fake_nodes=True, folder=folder))
    assert ended.value.code == 1
    log = folder / "logs" / "kube-apiserver.log"
    _, _, told = capsys.readouterr().err.partition("\nerror: ")
    assert told.startswith("kube-apiserver of the local cluster ended.\nWhat failed: kubectl apply")
    assert "`make up` starts it again" in told
    assert f"The last lines of {log}:\n  " in told
    assert "Traceback" not in told

    up.up_local("dev", fake_nodes=True, folder=folder)
    assert "Ended parts: kube-apiserver." in capsys.readouterr().err
    assert state_of(folder).parts["kube-apiserver"].pid != killed[0]


def test_what_ends_and_what_hangs_is_told_apart_from_what_has_another_cause(tmp_path: Path) -> None:
    with cluster.fake(tmp_path) as running:
        folder, state = running.state.folder, running.state
        error = UserError("no such image")

        def told(killed: processes.Process | None = None) -> str:
            with pytest.raises(UserError) as caught, cluster.naming_ended(folder):
                if killed:
                    os.kill(killed.pid, signal.SIGKILL)
                    processes.wait_for(f"end of {killed.name}", lambda: not killed.alive, 60, [])
                raise error
            return str(caught.value)

        processes.wait_for("answer of the API server", lambda: told() == "no such image", 60, [])

        kwok, server, etcd = (state.parts[name] for name in ("kwok", "kube-apiserver", "etcd"))
        assert told(kwok).startswith("kwok of the local cluster ended.\nWhat failed: no such image\n")
        # What comes later has another cause.
        processes.wait_for("answer of the API server", lambda: told() == "no such image", 60, [])

        cluster.start(folder, fake_nodes_only=True)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            said = told()
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert said.startswith("kube-apiserver of the local cluster runs, and does not answer.\nWhat failed: no such")
        assert f"The last lines of {server.log}:" in said
        processes.wait_for("answer of the API server", lambda: told() == "no such image", 60, [])

        error = UserError(f"kwok ended while waiting for Ready nodes. {kwok.log}:")
        assert told(state_of(folder).parts["kwok"]) == str(error)

        error = UserError("line\n" * 200)
        said = told(etcd)
        assert said.startswith("etcd")
        assert "What failed: line ...\n" in said
        assert f"The last lines of {etcd.log}:" in said
