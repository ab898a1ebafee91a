"""One line of the report."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tools.console import UserError

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Result:
    """What a check found. `todo` says what to look at where it is not well.

    `applies` is false for a check that means nothing on this cluster: it is well, and `seen` says why.
    """

    check: str
    well: bool
    seen: str
    todo: str = ""
    applies: bool = True


def until_well(check: Callable[[], Result], name: str, seconds: float) -> Result:
    """The result of a check as soon as it is well, else its last one after `seconds`. A silent part is not well."""
    stop = time.monotonic() + seconds
    while True:
        try:
            result = replace(check(), check=name)
        except UserError as error:
            result = Result(name, False, str(error))
        if result.well or time.monotonic() >= stop:
            return result
        time.sleep(POLL_SECONDS)


def some(names: list[str], most: int = 5) -> str:
    """The first names of a list, and how many more there are."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
