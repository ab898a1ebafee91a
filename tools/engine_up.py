"""`up` by the engine on the local cluster, also where the one before was cut off."""

import json
import os
from pathlib import Path

from tools.cluster import Cluster
from tools.console import say
from tools.engine import LocalStack

PENDING = "owner=helm,status in (pending-install,pending-upgrade,pending-rollback)"
"""Helm's notes of releases that are being made; what is left of one that was cut off refuses every later one."""


def up(stack: LocalStack, running: Cluster) -> None:
    """Deploy the stack. What an `up` that failed or was cut off has left is taken over. Raises UserError."""
    unfinished = stack.folder / "unfinished"
    cut_off = unfinished.exists()
    if cut_off and not _locked(stack):
        say("The up before this one did not come to its end: what it left on the cluster is taken over.")
        running.kubectl("delete", "secrets", "--all-namespaces", f"--selector={PENDING}")
    unfinished.touch()
    stack.run("up", "--yes", "--skip-preview", adopt=cut_off)
    unfinished.unlink()


def _locked(stack: LocalStack) -> bool:
    """Whether another process works on the stack. The lock of one that is gone is taken away."""
    locks = list((stack.folder / "state" / ".pulumi" / "locks").rglob("*.json"))
    if any(_alive(lock) for lock in locks):
        return True
    if locks:
        stack.run("cancel", "--yes", quiet=True)
    return False


def _alive(lock: Path) -> bool:
    try:
        os.kill(int(json.loads(lock.read_text())["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
