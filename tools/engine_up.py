"""`up` by the engine on the local cluster, also where the one before was cut off."""

import fcntl
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.kube_prometheus_stack import CRDS_RELEASE
from settings.reader import PROJECT
from tools.cluster import Cluster
from tools.console import UserError, say
from tools.engine import EngineFailedError, LocalStack

PENDING = ",status in (pending-install,pending-upgrade,pending-rollback)"
"""Of Helm's notes, those of a release that is being made. What is left of one that was cut off refuses the next."""


@contextmanager
def alone(stack: LocalStack) -> Iterator[None]:
    """No other `make up` or `make preview` of the local cluster goes on meanwhile. Raises UserError where one does."""
    stack.folder.mkdir(parents=True, exist_ok=True)
    with (stack.folder / "up.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("another make up or make preview of the local cluster goes on; wait for its end") from None
        yield


def up(stack: LocalStack, running: Cluster, namespace: str) -> None:
    """Deploy the stack, whose main namespace is given. What an `up` has left that was cut off is taken over.

    Raises UserError.
    """
    unfinished = _marker(stack)
    cut_off = unfinished.exists()
    if cut_off:
        say("The up before this one was cut off: what it left on the cluster is taken over.")
        _clear(stack, running, namespace)
    unfinished.touch()
    try:
        stack.run("up", "--yes", "--skip-preview", adopt=cut_off)
    except EngineFailedError:
        if not cut_off and not _locks(stack) and not _state(stack).get("pending_operations"):
            unfinished.unlink()
        raise
    unfinished.unlink()


def was_cut_off(stack: LocalStack) -> bool:
    """Whether the last `up` of the stack may have left objects that its state does not know."""
    return _marker(stack).exists()


def _marker(stack: LocalStack) -> Path:
    return stack.folder / f"unfinished-{stack.stack}"


def _locks(stack: LocalStack) -> list[Path]:
    """Files by which an engine keeps others away from the stack."""
    folder = stack.folder / "state" / ".pulumi" / "locks" / "organization" / PROJECT / stack.stack
    return list(folder.glob("*.json"))


def _state(stack: LocalStack) -> dict[str, Any]:
    return json.loads(stack.run("stack", "export", quiet=True))["deployment"] or {}


def _clear(stack: LocalStack, running: Cluster, namespace: str) -> None:
    """Take away the engine's lock, what it was about to make, and Helm's notes of a release that no state knows."""
    for lock in _locks(stack):
        if _held(lock):
            raise UserError(
                f"a pulumi process works on stack {stack.stack}: wait for its end, or delete {lock} if there is none"
            )
        lock.unlink(missing_ok=True)
    state = _state(stack)
    if state.get("pending_operations"):
        # Else the engine would warn of them at every run from now on.
        stack.run("refresh", "--clear-pending-creates", "--yes", "--skip-preview", quiet=True)
    types = {resource["type"] for resource in state.get("resources", ()) if resource.get("id")}
    status = PENDING if "kubernetes:helm.sh/v3:Release" in types else ""
    place = f"--namespace={namespace}"
    running.kubectl(place, "delete", "secrets", f"--selector=owner=helm,name={CRDS_RELEASE}{status}")


def _held(lock: Path) -> bool:
    """Whether the engine that wrote this lock may still run; one of another machine or container may."""
    try:
        content = json.loads(lock.read_text())
    except FileNotFoundError:
        return False
    if content["hostname"] != socket.gethostname():
        return True
    try:
        # The id may belong to another program by now; the command line of a zombie is empty.
        return b"pulumi" in Path("/proc", str(content["pid"]), "cmdline").read_bytes()
    except OSError:
        return not Path("/proc/self").exists()
