"""The short form of `make faults`: every fault of the log pipeline, and no line lost that was promised."""

from functools import cache

import pytest

from tools.faults.__main__ import AGENTS, results, with_agent
from tools.faults.cases import AGENT_CASES, LOKI_CASES
from tools.faults.pipeline import Result

CASES = {"promtail": [*AGENT_CASES, *LOKI_CASES], "alloy": [*AGENT_CASES]}


@cache
def found(program: str) -> dict[str, Result]:
    """All cases of an agent, run once and several at a time."""
    return dict(results(with_agent(program), CASES[program], full=False))


@pytest.mark.parametrize(("program", "name"), [(program, name) for program in AGENTS for name in CASES[program]])
def test_fault(program: str, name: str) -> None:
    result = found(program)[name]
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.good, f"{result.counted.lost} of {result.written} lost, {result.counted.twice} twice"
