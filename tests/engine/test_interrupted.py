"""An `up` that is cut off: it ends in words, and the next one takes over what its state does not know."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cluster.traces import wait_for
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


@pytest.fixture(scope="module")
def stack(local: Cluster, tmp_path_factory: pytest.TempPathFactory) -> LocalStack:
    return stack_on(local, tmp_path_factory.mktemp("stack"))


def stack_on(local: Cluster, folder: Path) -> LocalStack:
    found = engine.find()
    assert isinstance(found, engine.Engine)
    made = LocalStack(found, "dev", folder)
    made.prepare(local.kubeconfig, SECRET)
    return made


def config_maps(local: Cluster) -> int:
    return len(local.kubectl("--namespace=monitoring", "get", "configmaps", "--output=name").split())


def identities(local: Cluster) -> str:
    uids = "--output=jsonpath={.items[*].metadata.uid}"
    return local.kubectl("--namespace=monitoring", "get", *UNKNOWN, uids)


def descendants(pid: int) -> list[int]:
    """The plugins and the program, which outlive an engine that is killed."""
    stats = (path.read_text() for path in Path("/proc").glob("[0-9]*/stat"))
    parents = {int(stat.split()[0]): int(stat.rpartition(")")[2].split()[1]) for stat in stats}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_make_up_goes_on_after_one_that_was_cut_off(how: signal.Signals, tmp_path: Path) -> None:
    if reason := why_no_engine():
        pytest.skip(f"THE ENGINE TIER PROVES NOTHING HERE: {reason}")
    with cluster.fake(tmp_path) as local:
        stack = stack_on(local, tmp_path / "stack")
        (stack.folder / "unfinished").touch()
        output, place = tmp_path / "output", ["--stack=dev", f"--config-file={stack.config_file}"]
        command = [str(stack.engine.pulumi), "up", "--yes", "--skip-preview", "--non-interactive", *place]
        with output.open("w") as file:
            environment = {**os.environ, **stack.environment()}
            running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
            try:
                wait_for("ConfigMaps while it runs", lambda: config_maps(local), lambda count: count > 5, SECONDS)
            finally:
                others = descendants(running.pid) if how == signal.SIGKILL else []
                for pid in running.pid, *others:
                    os.kill(pid, how)
                code = running.wait(timeout=SECONDS)
        said = output.read_text()
        if how == signal.SIGINT:
            assert code == 1, said
            assert "error: update canceled" in said or "error: update failed" in said
            assert "Traceback" not in said
        engine_up.up(stack, local)
        engine_up.up(stack, local)
        stack.run("preview", "--refresh", "--expect-no-changes", quiet=True)


def test_what_the_state_does_not_know_is_taken_over_when_asked(stack: LocalStack, local: Cluster) -> None:
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
