"""An `up` that is cut off: it ends in words, and `make up` goes on with what it left."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.traces import wait_for
from tests.engine.test_journal_backend import children
from tools import cluster, engine, engine_up
from tools.cluster import Cluster
from tools.console import UserError
from tools.engine import LocalStack
from tools.synth import ROOT
from tools.up import why_no_engine

SECONDS = 120
SECRET = "http://127.0.0.1:9/{}".format
UNKNOWN = {"configmap/loki-config": "loki-config", "deployment/loki-gateway": "loki-gateway-deployment"}
"""Objects that the state shall not know, by their names in the cluster; and their names in the program."""
UP = """
import signal
import sys
from pathlib import Path
from tools import cluster, engine, engine_up
from tools.console import run

def main():
    # A test that runs in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stack = engine.LocalStack(engine.find(), "dev", Path(sys.argv[2]))
    engine_up.up(stack, cluster.start(Path(sys.argv[1]), fake_nodes_only=True), "monitoring")

run(main)
"""
ANOTHERS = """
apiVersion: v1
kind: Secret
metadata: {name: anothers, namespace: default, labels: {owner: helm, name: prometheus-operator-crds, status: deployed}}
"""


def stack_on(local: Cluster, folder: Path) -> LocalStack:
    found = engine.find()
    assert isinstance(found, engine.Engine)
    made = LocalStack(found, "dev", folder)
    made.prepare(local.kubeconfig, SECRET)
    return made


def config_maps(local: Cluster) -> int:
    return len(local.kubectl("--namespace=monitoring", "get", "configmaps", "--output=name").split())


def release(local: Cluster) -> str:
    """What Helm has noted of the release of the CRDs."""
    status = "--output=jsonpath={.items[*].metadata.labels.status}"
    return local.kubectl("--namespace=monitoring", "get", "secrets", "--selector=owner=helm", status)


def identities(local: Cluster) -> str:
    uids = "--output=jsonpath={.items[*].metadata.uid}"
    return local.kubectl("--namespace=monitoring", "get", *UNKNOWN, uids)


def kill(processes: list[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def press_ctrl_c(_local: Cluster, program: int) -> None:
    """In the terminal: the group of the program hears it. The engine and its plugins have groups of their own."""
    os.killpg(program, signal.SIGINT)


def lose_all(_local: Cluster, program: int) -> None:
    kill([program, *children(program)])


def lose_the_engine(local: Cluster, program: int) -> None:
    """Its plugins go on, and end what they are at: no state knows."""
    kill(children(program)[:1])
    wait_for("release of the CRDs", partial(release, local), "deployed".__eq__, SECONDS)


@pytest.mark.parametrize("cut", [press_ctrl_c, lose_all, lose_the_engine])
def test_make_up_goes_on_after_one_that_was_cut_off(cut: Callable[[Cluster, int], None], tmp_path: Path) -> None:
    if reason := why_no_engine():
        pytest.skip(f"THE ENGINE TIER PROVES NOTHING HERE: {reason}")
    with cluster.fake(tmp_path) as local:
        stack = stack_on(local, tmp_path / "stack")
        local.kubectl("apply", "--filename=-", stdin=ANOTHERS)
        command = [sys.executable, "-c", UP, str(tmp_path / "cluster"), str(stack.folder)]
        with (tmp_path / "output").open("w") as output:
            program = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
        below: list[int] = []
        try:
            wait_for("ConfigMaps while it runs", partial(config_maps, local), lambda count: count > 5, SECONDS)
            below = children(program.pid)
            cut(local, program.pid)
            code = program.wait(timeout=SECONDS)
        finally:
            kill([program.pid, *below])
            program.wait()
        said = (tmp_path / "output").read_text()
        locks = list((stack.folder / "state" / ".pulumi" / "locks").rglob("*.json"))
        assert "Traceback" not in said
        assert engine_up.was_cut_off(stack)
        if cut is press_ctrl_c:
            assert code == 130
            assert "error: update canceled" in said or "error: update failed" in said
            assert said.endswith("stopped by Ctrl-C or SIGTERM\n")
            assert not locks
        else:
            assert code == (1 if cut is lose_the_engine else -signal.SIGKILL)
            assert len(locks) == 1
        engine_up.up(stack, local, "monitoring")
        state = json.loads(stack.run("stack", "export", quiet=True))["deployment"]
        assert "pending_operations" not in state
        assert not locks or not locks[0].exists()
        engine_up.up(stack, local, "monitoring")
        stack.run("preview", "--refresh", "--expect-no-changes", quiet=True)
        assert local.kubectl("get", "secret/anothers", "--output=name") == "secret/anothers\n"


def test_what_the_state_does_not_know_is_taken_over_when_asked(local: Cluster, tmp_path: Path) -> None:
    stack = stack_on(local, tmp_path)
    stack.run("up", "--yes", "--skip-preview", quiet=True)
    known = json.loads(stack.run("stack", "export", quiet=True))["deployment"]["resources"]
    urns = {urn.rpartition("::")[2]: urn for urn in (resource["urn"] for resource in known)}
    before = identities(local)
    for name in UNKNOWN.values():
        # As a run leaves it that was cut off while the API server made them.
        stack.run("state", "delete", urns[name], "--yes", "--force", quiet=True)
    with pytest.raises(UserError, match="already exists"):
        stack.run("up", "--yes", "--skip-preview", quiet=True)
    stack.run("up", "--yes", "--skip-preview", quiet=True, adopt=True)
    assert identities(local) == before
    stack.run("up", "--yes", "--skip-preview", quiet=True)
    stack.run("preview", "--refresh", "--expect-no-changes", quiet=True)
