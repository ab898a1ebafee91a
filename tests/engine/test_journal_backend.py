"""A backend that takes a journal holds the same state as one that is given the whole of it: by the real CLI."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import journal_service
from tools import engine
from tools.cluster import Cluster
from tools.console import UserError
from tools.faults.daemons import until
from tools.synth import ROOT

RUN = ("--yes", "--skip-preview")
PROGRAM = """
import os
import pulumi, pulumi_kubernetes as k8s, pulumi_random as random
later = os.environ["STEP"] == "later"
provider = k8s.Provider("cluster", kubeconfig={kubeconfig!r})
def config(name, data, **more):
    more.setdefault("parent", None)
    return k8s.core.v1.ConfigMap(name, metadata={{"name": name, "namespace": "default"}}, data=data,
                                 opts=pulumi.ResourceOptions(provider=provider, **more))
class Group(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("bench:index:Group", name, opts=opts)
        self.register_outputs({{"name": name}})
password = random.RandomPassword("password", length=12, keepers={{"step": os.environ["STEP"] if later else "first"}})
aliases = pulumi.ResourceOptions(aliases=[pulumi.Alias(name="group")] if later else [])
group = Group("group-renamed" if later else "group", aliases)
child = config("child", {{"a": "1"}}, parent=group)
changed = config("changed", {{"a": os.environ["STEP"]}})
lost = config("lost", {{"a": "1"}})
config("follows", {{"a": "1"}}, depends_on=[lost, child])
if not later:
    config("deleted", {{"a": "1"}})
pulumi.export("password", password.result)
"""
BLOCKED = """
import time
from pathlib import Path
import pulumi, pulumi_random as random
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
class Waits(ResourceProvider):
    def create(self, props):
        Path({began!r}).touch()
        time.sleep(600)
        return CreateResult("waits", {{}})
class Slow(Resource):
    def __init__(self, name, opts):
        super().__init__(Waits(), name, {{}}, opts)
made = [random.RandomPassword(f"made-{{number}}", length=8) for number in range(3)]
Slow("slow", pulumi.ResourceOptions(depends_on=made))
"""


class Project:
    """A program with its stack, on a backend that the variables name."""

    def __init__(self, folder: Path, program: str, backend: Mapping[str, str]) -> None:
        found = engine.find()
        assert isinstance(found, engine.Engine)
        self.engine, self.folder = found, folder
        self.environment = {"PULUMI_CONFIG_PASSPHRASE": "bench-only", "STEP": "first", **backend}
        folder.mkdir()
        (folder / "__main__.py").write_text(program)
        options = f"{{virtualenv: {ROOT / '.venv'}}}"
        (folder / "Pulumi.yaml").write_text(f"name: journal\nruntime: {{name: python, options: {options}}}\n")
        self.run("stack", "init", "--secrets-provider", "passphrase")

    def run(self, *arguments: str) -> str:
        place = ["--cwd", str(self.folder), "--stack", "edge"]
        return self.engine.run([*arguments, *place], self.environment, quiet=True)

    def state(self) -> dict[str, Any]:
        deployment: dict[str, Any] = json.loads(self.run("stack", "export", "--show-secrets"))["deployment"]
        return deployment


@pytest.fixture
def service() -> Iterator[journal_service.Service]:
    with journal_service.running() as running:
        yield running
        assert not running.unknown


def shape(state: Mapping[str, Any]) -> dict[str, Any]:
    """What a state says of each resource, but for what every run chooses anew: identities, times, passwords."""
    compared = ("inputs", "type", "custom", "parent", "delete", "pendingReplacement", "aliases")
    found = {}
    for one in state.get("resources", []):
        assert one["urn"] not in found
        about = {key: one[key] for key in compared if one.get(key)}
        about["provider"] = one.get("provider", "").rpartition("::")[0]
        about["outputs"] = sorted(one.get("outputs", {}))
        about["dependencies"] = sorted(one.get("dependencies", []))
        # A replay with a refresh in it leaves out the properties that depend on nothing, as the CLI's own does.
        about["by property"] = {key: all_ for key, all_ in one.get("propertyDependencies", {}).items() if all_}
        found[one["urn"]] = about
    return found


def in_order(state: Mapping[str, Any]) -> bool:
    """Whether each resource stands after those that it speaks of."""
    seen: set[str] = set()
    for one in state.get("resources", []):
        named = {*one.get("dependencies", []), one.get("parent", ""), one.get("provider", "").rpartition("::")[0]}
        if not named - {""} <= seen:
            return False
        seen.add(one["urn"])
    return True


def life(project: Project, local: Cluster) -> list[dict[str, Any]]:
    """The state after each step of a stack's life."""
    project.run("up", *RUN)
    states = [project.state()]
    project.run("preview", "--expect-no-changes")
    project.environment["STEP"] = "later"
    project.run("up", *RUN)
    states.append(project.state())
    project.run("preview", "--expect-no-changes")
    local.kubectl("delete", "configmap", "lost", "--namespace=default")
    project.run("refresh", *RUN)
    states.append(project.state())
    local.kubectl("delete", "configmap", "changed", "--namespace=default")
    project.run("up", "--refresh", *RUN)
    states.append(project.state())
    project.run("preview", "--expect-no-changes")
    project.run("destroy", *RUN)
    states.append(project.state())
    project.run("stack", "rm", "--yes")
    return states


def test_both_kinds_of_backend_hold_the_same_state(
    local: Cluster, service: journal_service.Service, tmp_path: Path
) -> None:
    program = PROGRAM.format(kubeconfig=str(local.kubeconfig))
    (tmp_path / "state").mkdir()
    folder = {"PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}"}
    whole = life(Project(tmp_path / "whole", program, folder), local)
    journal = life(Project(tmp_path / "journal", program, service.environment(tmp_path / "login")), local)
    assert [shape(state) for state in journal] == [shape(state) for state in whole]
    assert all(in_order(state) for state in journal)
    assert [len(state.get("resources", [])) for state in journal] == [10, 9, 8, 9, 0]
    assert not any(state.get("pending_operations") for state in journal)


def children(process: int) -> list[int]:
    """All processes below one."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(int(word) for word in line.split()) for line in listed.splitlines()]
    found = [process]
    for one in found:
        found += [child for child, parent in parents if parent == one]
    return found[1:]


def test_a_run_that_is_killed_leaves_what_it_did(
    local: Cluster, service: journal_service.Service, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    program = BLOCKED.format(began=str(began))
    project = Project(tmp_path / "killed", program, service.environment(tmp_path / "login"))
    command = [str(project.engine.pulumi), "up", *RUN, "--non-interactive", "--stack", "edge"]
    variables = {**os.environ, **project.environment}
    with (tmp_path / "log").open("w") as log:
        up = subprocess.Popen(command, cwd=project.folder, env=variables, stdout=log, stderr=subprocess.STDOUT)
    below: list[int] = []
    try:
        until(f"the creation that waits; see {tmp_path / 'log'}", lambda: began.exists() or up.poll() is not None)
        assert up.poll() is None, (tmp_path / "log").read_text()
        below = children(up.pid)
    finally:
        up.kill()
        up.wait()
        for process in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    left = project.state()
    assert {one["urn"].rsplit("::", 1)[-1] for one in left["resources"]} >= {f"made-{number}" for number in range(3)}
    pending = [(one["type"], one["resource"]["urn"].rsplit("::", 1)[-1]) for one in left["pending_operations"]]
    assert pending == [("creating", "slow")]
    with pytest.raises(UserError, match="another update goes on"):
        project.run("destroy", *RUN)
    project.run("cancel", "--yes")
    assert shape(project.state()) == shape(left)
    project.run("refresh", "--clear-pending-creates", *RUN)
    assert "pending_operations" not in project.state()
    project.run("destroy", *RUN)
    assert "resources" not in project.state()
