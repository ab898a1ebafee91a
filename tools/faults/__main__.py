"""`make faults`: every fault of the log pipeline, and a table of what was lost. FULL=1 for the long form."""

import argparse
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tools.console import UserError, run, say
from tools.faults.cases import CASES, FULL, SHORT, Result
from tools.rules import stack_settings

AT_ONCE = 4


def results(*, full: bool, only: str = "") -> Iterator[tuple[str, Result]]:
    """Each case with its result, in order. The short form runs several at once: they mostly wait."""
    settings = stack_settings("dev")

    def one(name: str) -> Result:
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            started = time.monotonic()
            found = CASES[name](Path(folder), settings, FULL if full else SHORT)
            return replace(found, seconds=time.monotonic() - started)

    names = [name for name in CASES if only in name]
    with ThreadPoolExecutor(max_workers=1 if full else AT_ONCE) as pool:
        yield from zip(names, pool.map(one, names), strict=True)


def main() -> None:
    """Print the table. Raises UserError where a promise does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tools.faults", description=__doc__)
    parser.add_argument("--full", action="store_true", help="500,000 lines, 15 minutes away (about an hour)")
    parser.add_argument("--only", default="", help="part of a case's name")
    arguments = parser.parse_args()
    print("| fault | lines | lost | allowed | twice | seconds |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    broken = []
    for name, result in results(full=arguments.full, only=arguments.only):
        allowed = "must lose" if result.control else str(result.allowed)
        counted = result.counted
        figures = f"{result.written} | {counted.lost} | {allowed} | {counted.twice} | {result.seconds:.0f}"
        print(f"| {name} | {figures} |", flush=True)
        broken += [] if result.good else [name]
    if broken:
        raise UserError(f"the promise does not hold: {', '.join(broken)}")
    say("Every promise holds.")


if __name__ == "__main__":
    run(main)
