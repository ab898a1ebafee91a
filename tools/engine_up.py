"""`up` by the engine on the local cluster, also where the one before was cut off."""

import fcntl
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.kube_prometheus_stack import CRDS_RELEASE
from settings.reader import PROJECT
from tools.cluster import Cluster
from tools.console import UserError, say
from tools.engine import EngineFailedError, LocalStack

PENDING = ",status in (pending-install,pending-upgrade,pending-rollback)"
"""Of Helm's notes, those of a release that is being made. What is left of one that was cut off refuses the next."""


@contextmanager
def alone(stack: LocalStack) -> Iterator[None]:
    """Nobody else deploys to the local cluster meanwhile. Raises UserError where somebody does."""
    stack.folder.mkdir(parents=True, exist_ok=True)
    with (stack.folder / "up.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("another make up deploys to the local cluster; wait for its end, or end it") from None
        yield


def up(stack: LocalStack, running: Cluster) -> None:
    """Deploy the stack. What an `up` has left that was cut off is taken over. Raises UserError."""
    unfinished, cut_off = _marker(stack), was_cut_off(stack)
    if cut_off:
        say("The up before this one was cut off: what it left on the cluster is taken over.")
        _clear(stack, running)
    unfinished.touch()
    try:
        stack.run("up", "--yes", "--skip-preview", adopt=cut_off)
    except EngineFailedError:
        if not cut_off:
            unfinished.unlink()
        raise
    unfinished.unlink()


def was_cut_off(stack: LocalStack) -> bool:
    """Whether the last `up` of the stack may have left objects that its state does not know."""
    return _marker(stack).exists()


def _marker(stack: LocalStack) -> Path:
    return stack.folder / f"unfinished-{stack.stack}"


def _clear(stack: LocalStack, running: Cluster) -> None:
    """Take away the engine's lock, what it was about to make, and Helm's notes of a release that no state knows."""
    for lock in (stack.folder / "state" / ".pulumi" / "locks" / "organization" / PROJECT / stack.stack).glob("*.json"):
        if _held(lock):
            raise UserError(f"a pulumi process works on stack {stack.stack}; wait for its end (its lock is {lock})")
        lock.unlink(missing_ok=True)
    deployment = json.loads(stack.run("stack", "export", quiet=True))["deployment"] or {}
    if deployment.get("pending_operations"):
        # Else the engine would warn of them at every run from now on.
        stack.run("refresh", "--clear-pending-creates", "--yes", "--skip-preview", quiet=True)
    types = {resource["type"] for resource in deployment.get("resources", ()) if resource.get("id")}
    status = PENDING if "kubernetes:helm.sh/v3:Release" in types else ""
    running.kubectl("delete", "secrets", "--all-namespaces", f"--selector=owner=helm,name={CRDS_RELEASE}{status}")


def _held(lock: Path) -> bool:
    """Whether the engine that wrote this lock may still run; one of another machine or container may."""
    try:
        content = json.loads(lock.read_text())
    except FileNotFoundError:
        return False
    if content["hostname"] != socket.gethostname():
        return True
    try:
        # Another program may have its number by now, and one that nobody waits for has no words left.
        return b"pulumi" in Path("/proc", str(content["pid"]), "cmdline").read_bytes()
    except OSError:
        return not Path("/proc/self").exists()
