"""The short form of `make faults`: every fault of the log pipeline, and no line lost that was promised."""

import pytest

from tools.faults.__main__ import results
from tools.faults.cases import CASES, Result


@pytest.fixture(scope="module")
def found() -> dict[str, Result]:
    return dict(results(full=False))


@pytest.mark.parametrize("name", CASES)
def test_fault(found: dict[str, Result], name: str) -> None:
    result = found[name]
    assert result.good, f"{result.counted.lost} of {result.written} lost, {result.counted.twice} twice"
