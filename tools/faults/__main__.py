"""`make faults`: every fault of the log pipeline, and a table of what was lost. FULL=1 for the long form."""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from settings import Settings
from tools.console import UserError, run, say
from tools.faults.cases import CASES
from tools.faults.pipeline import FULL, SHORT, Result
from tools.rules import stack_settings

AGENTS = ("promtail", "alloy")
AT_ONCE = 4
"""Cases that run at the same time: they mostly wait."""
HEAD = "| fault | lines | lost | allowed | twice | seconds | |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |"


def with_agent(program: str) -> Settings:
    """Settings of stack dev with this log agent."""
    settings = stack_settings("dev")
    return settings.model_copy(update={"log_agent": settings.log_agent.model_copy(update={"program": program})})


def results(settings: Settings, names: Sequence[str], *, full: bool) -> Iterator[tuple[str, Result]]:
    """Each of these cases with its result, in order."""

    def one(name: str) -> Result:
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            started = time.monotonic()
            found = CASES[name](Path(folder), settings, FULL if full else SHORT)
            return replace(found, seconds=time.monotonic() - started)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        yield from zip(names, pool.map(one, names), strict=True)


def row(name: str, result: Result) -> str:
    """A line of the table."""
    if result.skipped:
        return f"| {name} | not run: {result.skipped} |"
    allowed = "must lose" if result.control else f"{result.allowed:,}"
    counted = result.counted
    figures = [f"{result.written:,}", f"{counted.lost:,}", allowed, f"{counted.twice:,}", f"{result.seconds:.0f}"]
    return f"| {' | '.join([name, *figures, '; '.join(result.notes)])} |"


def main() -> None:
    """Print the table. Raises UserError where a promise does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tools.faults", description=__doc__)
    parser.add_argument("--full", action="store_true", help="500,000 lines, 15 minutes away (about an hour)")
    parser.add_argument("--agent", choices=AGENTS, default=AGENTS[0], help="the log agent (default: %(default)s)")
    parser.add_argument("--only", default="", help="part of a case's name")
    arguments = parser.parse_args()
    say(f"Agent {arguments.agent}; load of the machine at the start: {os.getloadavg()[0]:.1f}")
    print(HEAD)
    broken = []
    names = [name for name in CASES if arguments.only in name]
    for name, result in results(with_agent(arguments.agent), names, full=arguments.full):
        print(row(name, result), flush=True)
        broken += [] if result.good else [name]
    if broken:
        raise UserError(f"the promise does not hold: {', '.join(broken)}")
    say("Every promise holds.")


if __name__ == "__main__":
    run(main)
