"""`make up` by the engine after one that did not come to its end, and an engine that is told to end."""

import json
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tools import engine_up
from tools.console import UserError
from tools.engine import Engine, EngineFailedError, LocalStack

NOBODY = 2**22 + 1
"""No process has this id: it is above the kernel's limit."""
UP = "up --yes --skip-preview"
ADOPTING = f"{UP} adopt"
CLEAR = "refresh --clear-pending-creates --yes --skip-preview"
EXPORT = "stack export"
NOTES = "kubectl delete secrets --all-namespaces --selector=owner=helm,name=prometheus-operator-crds"
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
    return lambda: engine_up.up(stack, running)


def test_an_up_that_failed_by_itself_changes_nothing_for_the_next(
    stack: Recorded, up: Callable[[], None], fails: Callable[[BaseException | None], None]
) -> None:
    """Its state is whole. What it says is there already may be somebody else's."""
    fails(EngineFailedError("it failed with code 1"))
    for _ in range(2):
        with pytest.raises(UserError):
            up()
        assert stack.told() == [UP]


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


@pytest.mark.parametrize(
    ("pid", "hostname"),
    [(NOBODY, "here"), (1, "here"), (NOBODY, "another")],
    ids=["gone", "another program", "elsewhere"],
)
def test_only_the_lock_of_an_engine_that_is_gone_is_taken_away(
    stack: Recorded, up: Callable[[], None], pid: int, hostname: str
) -> None:
    """On another machine it may still run."""
    lock = stack.folder / "state" / ".pulumi" / "locks" / "organization" / "observability" / "dev" / "one.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"pid": pid, "hostname": hostname.replace("here", socket.gethostname())}))
    (stack.folder / "unfinished-dev").touch()
    if hostname == "here":
        up()
        assert not lock.exists()
    else:
        with pytest.raises(UserError, match=r"a pulumi process works on stack dev; .*one\.json"):
            up()
        assert stack.told() == []


def test_two_do_not_deploy_at_once(stack: Recorded) -> None:
    with (
        engine_up.alone(stack),
        pytest.raises(UserError, match="another make up deploys to the local cluster"),
        engine_up.alone(stack),
    ):
        pass
    with engine_up.alone(stack):
        pass


ENGINE = """#!{python}
# As the engine: it ends in order when it is interrupted, and that takes longer than Python would wait by itself.
import os, pathlib, signal, sys, time

def end(*_):
    time.sleep(1)
    pathlib.Path(os.environ["STATE"]).write_text("written")
    sys.exit(1)

signal.signal(signal.SIGINT, end)
os.kill(os.getppid(), signal.{how})
if signal.{how} == signal.SIGINT:
    # Ctrl-C reaches the engine too.
    os.kill(os.getpid(), signal.SIGINT)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_an_engine_that_is_told_to_end_is_waited_for(tmp_path: Path, how: str) -> None:
    pulumi, state = tmp_path / "pulumi", tmp_path / "state"
    pulumi.write_text(ENGINE.format(python=sys.executable, how=how))
    pulumi.chmod(0o755)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        Engine(pulumi).run(["up"], {"STATE": str(state)}, quiet=True)
    assert state.read_text() == "written"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
