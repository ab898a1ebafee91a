"""`make up` by the engine after one that did not come to its end, and an engine that is told to end."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cluster.traces import wait_for
from tools import engine_up
from tools.console import UserError
from tools.engine import Engine, EngineFailedError, LocalStack
from tools.synth import ROOT

SECONDS = 60
NOBODY = 2**22 + 1
"""No process has this id: it is above the kernel's limit."""
UP = "up --yes --skip-preview"
ADOPTING = f"{UP} adopt"
CLEAR = "refresh --clear-pending-creates --yes --skip-preview"
EXPORT = "stack export"
NOTES = "kubectl --namespace=observing delete secrets --selector=owner=helm,name=prometheus-operator-crds"
RELEASE = {"type": "kubernetes:helm.sh/v3:Release", "id": "monitoring/prometheus-operator-crds"}


class Recorded(LocalStack):
    """A stack whose runs are noted; `up` may fail, and the state holds what is said."""

    notes: list[str]
    failure: BaseException | None
    state: dict[str, Any] | None

    def run(self, *arguments: str, quiet: bool = False, adopt: bool = False) -> str:
        self.notes.append(" ".join([*arguments, *(["adopt"] if adopt else [])]))
        if arguments[0] == "up" and self.failure:
            raise self.failure
        return json.dumps({"deployment": self.state}) if quiet else ""

    def told(self) -> list[str]:
        told = [*self.notes]
        self.notes.clear()
        return told


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | None], None]:
    return lambda how: monkeypatch.setattr(Recorded, "failure", how, raising=False)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[[BaseException | None], None]) -> Recorded:
    monkeypatch.setattr(Recorded, "notes", [], raising=False)
    monkeypatch.setattr(Recorded, "state", None, raising=False)
    fails(None)
    return Recorded(Engine(Path("pulumi")), "dev", tmp_path)


@pytest.fixture
def up(stack: Recorded) -> Callable[[], None]:
    running: Any = SimpleNamespace(kubectl=lambda *words: stack.notes.append(f"kubectl {' '.join(words)}"))
    return lambda: engine_up.up(stack, running, "observing")


def test_an_up_that_failed_by_itself_changes_nothing_for_the_next(
    stack: Recorded, up: Callable[[], None], fails: Callable[[BaseException | None], None]
) -> None:
    """Its state is whole. What it says is there already may be somebody else's."""
    fails(EngineFailedError("it failed with code 1"))
    for _ in range(2):
        with pytest.raises(UserError):
            up()
        assert stack.told() == [UP, EXPORT]


def test_an_error_that_leaves_creations_behind_counts_as_a_cut(
    stack: Recorded,
    up: Callable[[], None],
    fails: Callable[[BaseException | None], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fails(EngineFailedError("it failed with code 2"))
    monkeypatch.setattr(Recorded, "state", {"pending_operations": [{"type": "creating"}]})
    with pytest.raises(UserError):
        up()
    assert engine_up.was_cut_off(stack)


@pytest.mark.parametrize("how", [KeyboardInterrupt(), UserError("it failed with code -9")], ids=["Ctrl-C", "kill"])
def test_what_one_has_left_that_was_cut_off_is_taken_over_until_one_succeeds(
    stack: Recorded, up: Callable[[], None], fails: Callable[[BaseException | None], None], how: BaseException
) -> None:
    fails(how)
    with pytest.raises(type(how)):
        up()
    assert stack.told() == [UP]
    assert engine_up.was_cut_off(stack)
    assert not engine_up.was_cut_off(Recorded(stack.engine, "other", stack.folder))
    fails(EngineFailedError("it failed with code 1"))
    with pytest.raises(UserError):
        up()
    assert stack.told() == [EXPORT, NOTES, ADOPTING]
    fails(None)
    up()
    assert stack.told() == [EXPORT, NOTES, ADOPTING]
    up()
    assert stack.told() == [UP]


def test_of_a_release_that_the_state_knows_only_what_is_pending_is_taken_away(
    stack: Recorded, up: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "state", {"resources": [RELEASE]})
    (stack.folder / "unfinished-dev").touch()
    up()
    assert stack.told()[1] == f"{NOTES},status in (pending-install,pending-upgrade,pending-rollback)"


def test_what_the_engine_was_about_to_make_is_forgotten(
    stack: Recorded, up: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "state", {"pending_operations": [{"type": "creating"}]})
    (stack.folder / "unfinished-dev").touch()
    up()
    assert stack.told() == [EXPORT, CLEAR, NOTES, ADOPTING]


@pytest.fixture
def lock(stack: Recorded) -> Path:
    lock = stack.folder / "state" / ".pulumi" / "locks" / "organization" / "observability" / "dev" / "one.json"
    lock.parent.mkdir(parents=True)
    (stack.folder / "unfinished-dev").touch()
    return lock


@pytest.mark.parametrize("pid", [NOBODY, 1], ids=["gone", "another program"])
def test_the_lock_of_an_engine_that_is_gone_is_taken_away(lock: Path, up: Callable[[], None], pid: int) -> None:
    lock.write_text(json.dumps({"pid": pid, "hostname": socket.gethostname()}))
    up()
    assert not lock.exists()


@pytest.mark.parametrize("hostname", [socket.gethostname(), "another"], ids=["here", "elsewhere"])
def test_the_lock_of_an_engine_that_may_run_is_left(
    stack: Recorded, lock: Path, up: Callable[[], None], tmp_path: Path, hostname: str
) -> None:
    engine = tmp_path / "pulumi"
    engine.symlink_to("/bin/sleep")
    with subprocess.Popen([str(engine), "600"]) as running:
        try:
            words = Path("/proc", str(running.pid), "cmdline")
            wait_for("command line of the engine", words.read_bytes, len, SECONDS)
            lock.write_text(json.dumps({"pid": running.pid, "hostname": hostname}))
            with pytest.raises(UserError, match=r"a pulumi process works on stack dev: .*one\.json if there is none"):
                up()
        finally:
            running.kill()
    assert lock.exists()
    assert stack.told() == []


def test_two_do_not_deploy_at_once(stack: Recorded) -> None:
    with (
        engine_up.alone(stack),
        pytest.raises(UserError, match="another make up or make preview of the local cluster goes on"),
        engine_up.alone(stack),
    ):
        pass
    with engine_up.alone(stack):
        pass


ENGINE = """#!{python}
# As the engine: it ends in order when it is interrupted, which takes longer than Python would wait by itself, and at
# once when it is interrupted again or hears anything else.
import os, pathlib, signal, sys, time

def end(*_):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    time.sleep(1)
    pathlib.Path(os.environ["STATE"]).write_text("written")
    sys.exit(1)

signal.signal(signal.SIGINT, end)
os.{tell}
while True:
    # Not signal.pause: it would sleep through what came just before.
    time.sleep(0.05)
"""


@pytest.mark.parametrize(
    "tell",
    [
        "kill(os.getppid(), signal.SIGINT)",
        "kill(os.getppid(), signal.SIGTERM)",
        "kill(os.getppid(), signal.SIGHUP), os.kill(os.getppid(), signal.SIGTERM)",
        # As a terminal's Ctrl-C and as timeout(1): the whole group of this program hears it.
        "killpg(os.getpgid(os.getppid()), signal.SIGINT)",
        "killpg(os.getpgid(os.getppid()), signal.SIGTERM)",
    ],
    ids=["SIGINT", "SIGTERM", "several", "SIGINT of the group", "SIGTERM of the group"],
)
def test_an_engine_whose_program_is_told_to_end_is_told_once_and_waited_for(tmp_path: Path, tell: str) -> None:
    pulumi, state = tmp_path / "pulumi", tmp_path / "state"
    pulumi.write_text(ENGINE.format(python=sys.executable, tell=tell))
    pulumi.chmod(0o755)
    program = TELLS.format(pulumi=str(pulumi), state=str(state))
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (130, "stopped by Ctrl-C or SIGTERM\n")
    assert state.read_text() == "written"


TELLS = """
import signal
from pathlib import Path
from tools.console import run
from tools.engine import Engine

# A test that runs in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
run(lambda: Engine(Path("{pulumi}")).run(["up"], {{"STATE": "{state}"}}, quiet=True))
"""
"""A program of ours with an engine below it."""
