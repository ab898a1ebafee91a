"""Names the part of the local cluster that ended: to whoever talks to it, its end is an EOF or a refused connection."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.cluster import parts
from tools.cluster.kubectl import answers
from tools.cluster.processes import Process
from tools.cluster.state import State, load
from tools.console import UserError

SECONDS = 10.0
"""A connection breaks a moment before its process is gone, and a busy API server may miss one question."""
POLL_SECONDS = 0.2
SHOWN = 300
GOES_ON = (
    "`make up` starts it again and goes on. If it ends again and its log gives no reason, somebody killed it, as the "
    "kernel does where memory runs out: dmesg."
)
ANEW = "`make down`, then `make up`, make a new one."


@contextmanager
def naming_ended(folder: Path) -> Iterator[None]:
    """Errors in the block are told as the end of a part of the cluster in `folder`, where that is what they come from.

    Raises `UserError` with the parts that ended, the last lines of the first one's log, and what to do; where nothing
    ended meanwhile, the error as it is. The parts of a cluster by kind are Docker's: their errors stay as they are.
    """
    found = load(folder.absolute())
    # Since the machine was started again, for example: no error of the block comes from their end.
    before = [found.parts[name] for name in found.dead] if found else []
    try:
        yield
    except UserError as error:
        state = load(folder.absolute())
        told = _told(state, before, str(error)) if state and "kube-apiserver" in state.parts else None
        if told is None:
            raise
        raise UserError(told) from error


def _told(state: State, before: list[Process], error: str) -> str | None:
    """The error with its cause; None where no part is the cause, or where it is named already."""
    # Not started in the block: nothing there has talked to it.
    if state.parts["kube-apiserver"] in before:
        return None
    serves = _serves(state, before)
    ended = _ended(state, before)
    # A cluster that only starts may well be silent, and says by itself what it waits for.
    if not ended and (serves or not state.ready):
        return None
    # In the order of their start: what needs the first one ends after it.
    first = (ended or [state.parts["kube-apiserver"]])[0]
    if first.log in error:
        return None
    what = f"{', '.join(part.name for part in ended)} of the local cluster ended"
    if not ended:
        what = f"{first.name} of the local cluster runs, and does not answer"
    start = error.partition("\n")[0]
    # What it did to others is an EOF each, perhaps hundreds of them. What needs no API server speaks for itself.
    failed = error if serves else f"{start[:SHOWN]}{' ...' if len(error) > SHOWN or start != error else ''}"
    lines = [f"{what}.", f"What failed: {failed}", GOES_ON if ended else ANEW]
    return "\n".join([*lines, f"The last lines of {first.log}:", first.log_tail()])


def _ended(state: State, before: list[Process]) -> list[Process]:
    return [state.parts[name] for name in state.dead if state.parts[name] not in before]


def _serves(state: State, before: list[Process]) -> bool:
    """Whether the API server answers, once that is certain; without etcd it does so for a moment only."""
    admin = parts.plane(state).kubeconfig("admin")
    deadline = time.monotonic() + SECONDS
    while not (serves := answers(admin)) and not _ended(state, before) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return serves and "etcd" not in state.dead
