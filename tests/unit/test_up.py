"""What `make up` asks of the engine after an `up` that did not come to its end."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tools.console import UserError
from tools.engine import Engine, LocalStack
from tools.engine_up import up

NOBODY = 2**22 + 1
"""No process has this id: it is above the kernel's limit."""


class Recorded(LocalStack):
    """A stack whose runs are told, and fail where they are to."""

    def run(self, *arguments: str, quiet: bool = False, adopt: bool = False) -> str:
        with (self.folder / "runs").open("a") as runs:
            runs.write(" ".join([*arguments, *(["adopt"] if adopt else [])]) + "\n")
        if (self.folder / "broken").exists():
            raise UserError(f"pulumi {arguments[0]} failed{quiet or ''}")
        return ""

    def told(self) -> list[str]:
        told = (self.folder / "runs").read_text().splitlines()
        (self.folder / "runs").unlink()
        return told


@pytest.fixture
def stack(tmp_path: Path) -> Recorded:
    return Recorded(Engine(Path("pulumi")), "dev", tmp_path)


@pytest.fixture
def running(tmp_path: Path) -> Any:
    def kubectl(*arguments: str) -> str:
        with (tmp_path / "runs").open("a") as runs:
            runs.write(f"kubectl {' '.join(arguments[:2])}\n")
        return ""

    return SimpleNamespace(kubectl=kubectl)


UP = "up --yes --skip-preview"


def test_only_after_one_that_failed_what_is_there_is_taken_over(stack: Recorded, running: Any) -> None:
    up(stack, running)
    assert stack.told() == [UP]
    (stack.folder / "broken").touch()
    for before in [], ["kubectl delete secrets"]:
        with pytest.raises(UserError):
            up(stack, running)
        assert stack.told() == [*before, f"{UP} adopt" if before else UP]
    (stack.folder / "broken").unlink()
    up(stack, running)
    assert stack.told() == ["kubectl delete secrets", f"{UP} adopt"]
    up(stack, running)
    assert stack.told() == [UP]


@pytest.mark.parametrize(
    ("pid", "first"),
    [(NOBODY, ["cancel --yes", "kubectl delete secrets"]), (os.getpid(), [])],
    ids=["gone", "alive"],
)
def test_the_lock_of_a_process_that_is_gone_is_taken_away_and_no_other(
    stack: Recorded, running: Any, pid: int, first: list[str]
) -> None:
    lock = stack.folder / "state" / ".pulumi" / "locks" / "organization" / "observability" / "dev" / "one.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"pid": pid, "username": "somebody", "hostname": "here"}))
    (stack.folder / "unfinished").touch()
    up(stack, running)
    assert stack.told() == [*first, f"{UP} adopt"]
