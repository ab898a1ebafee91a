"""Which end of a part is told as the cause of an error. On a real one: tests/cluster/test_ended_parts.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.cluster import ended, processes
from tools.cluster.state import State
from tools.console import UserError

NAMES = ("etcd", "kube-apiserver", "kwok")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """A cluster of processes that only sleep; its API server answers while it runs."""
    found = State(tmp_path, "fake", dict.fromkeys(("api", "etcd"), 1), ready=True)
    for name in NAMES:
        found.start(name, ["sleep", "600"])
    monkeypatch.setattr(ended, "answers", lambda _: found.parts["kube-apiserver"].alive)
    yield found
    processes.kill(found.running())


def told(state: State, error: str, *killed: str) -> str:
    with pytest.raises(UserError) as caught, ended.naming_ended(state.folder):
        processes.kill([state.parts[name] for name in killed])
        raise UserError(error)
    return str(caught.value)


def test_what_ended_meanwhile_is_named(state: State) -> None:
    said = told(state, "EOF\n" * 100, "etcd", "kube-apiserver")
    assert said.startswith("etcd, kube-apiserver of the local cluster ended.\nWhat failed: EOF ...\n")


def test_what_had_ended_before_is_not_the_cause(state: State) -> None:
    """As after a new start of the machine: the error is another one, and all of it is told."""
    processes.kill(state.running())
    error = "the image is not there:\nno such host\nLet Docker reach a registry"
    assert told(state, error) == error


def test_a_part_that_was_started_again_is_named_when_it_ends_again(state: State) -> None:
    processes.kill([state.parts["kwok"], state.parts["etcd"]])
    with pytest.raises(UserError, match=r"^etcd of the local cluster ended"), ended.naming_ended(state.folder):
        state.start("etcd", ["sleep", "600"])
        processes.kill([state.parts["etcd"]])
        raise UserError("no node")


def test_an_error_without_words_is_told_as_well(state: State) -> None:
    assert told(state, "", "kube-apiserver").startswith("kube-apiserver of the local cluster ended.\nWhat failed: \n")
