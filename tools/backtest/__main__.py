"""`make backtest ALERT=<name> STACK=<name> SET="threshold=90%"`: how often an alert would have fired in the past.

Its expression is asked of the cluster's Prometheus, or Loki, for each evaluation of the last days: as the rule file has
it, as the stack tunes it, and with each SET. `for` and `keep_firing_for` are applied as the evaluator does. Nothing is
changed.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack

from rich.console import Console
from rich.table import Table

from settings import Settings
from tools.backtest.candidates import Candidate, candidates
from tools.backtest.firings import Firing, of_series
from tools.backtest.past import longest_window, samples, without_data
from tools.cluster import LOCAL
from tools.console import UserError, progress, run
from tools.reach import Part, Parts, part_at, reach
from tools.rules import stack_settings

DAY = 86400
MOST_DAYS = 3650
SHOWN = 12
"""Firings of a candidate that are listed, the last ones."""
USUAL = {"cluster", "alertname", "severity", "team", "component"}


def replay(part: Part, candidate: Candidate, start: int, end: int) -> list[Firing]:
    """Every firing between two points in time (seconds since the epoch), in order.

    Raises UserError where Prometheus or Loki refuses the query.
    """
    step = candidate.interval
    start, end = start // step * step, end // step * step
    # What waits, or still fires, at the start began before it.
    before = start - -(-(candidate.wait + candidate.keep) // step) * step - step
    found = samples(part, candidate.evaluator, candidate.expr, step, before, end)
    firings = [
        firing
        for labels, times in found.values()
        for firing in of_series(labels, times, step, candidate.wait, candidate.keep, (start, end))
    ]
    return sorted(firings, key=lambda firing: (firing.begin, firing.labels))


def show(alert: str, days: float, replayed: list[tuple[Candidate, list[Firing]]]) -> None:
    """The table, and when the alert would have fired."""
    console = Console(width=None if Console().is_terminal else 140, highlight=False)
    table = Table("whose values", "values", "firings", "series", "hours", "longest", title=f"{alert}, {days:g} days")
    for candidate, firings in replayed:
        hours = f"{sum(firing.seconds for firing in firings) / 3600:.1f}"
        longest = max((firing.seconds for firing in firings), default=0)
        series = len({firing.labels for firing in firings})
        whose = " = ".join(candidate.names)
        table.add_row(whose, candidate.values, str(len(firings)), str(series), hours, f"{longest / 60:.0f} min")
    console.print(table)
    for candidate, firings in replayed:
        if firings:
            console.print(f"\n{' = '.join(candidate.names)} ({candidate.values}), the last firings:", markup=False)
            console.print("\n".join(_words(firings)), markup=False)


def _words(firings: list[Firing]) -> Iterator[str]:
    if len(firings) > SHOWN:
        yield f"  ... and {len(firings) - SHOWN} before"
    for firing in firings[-SHOWN:]:
        begin = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(firing.begin))
        labels = ", ".join(f"{key}={value}" for key, value in firing.labels if key not in USUAL)
        open_ = " (began before)" * firing.from_before + " (goes on)" * firing.goes_on
        yield f"  {begin}  {firing.seconds / 60:6.1f} min  {labels}{open_}"


def evaluate(settings: Settings, alert: str, wanted: list[str], days: float, part: Part | None) -> int:
    """Replay and print; 1 where the past of none of the series is there. Without `part` the cluster is asked."""
    tried = candidates(settings, alert, wanted)
    evaluator = tried[0].evaluator
    end = int(time.time())
    start = end - int(days * DAY)
    with ExitStack() as opened:
        if part is None:
            parts = Parts(reach(settings, LOCAL), settings, opened)
            part = parts.loki() if evaluator == "loki" else parts.prometheus()
        with progress(f"asking {part.name} about {days:g} days, {len(tried)} times"):
            replayed = [(candidate, replay(part, candidate, start, end)) for candidate in tried]
        expr = tried[0].expr
        missing = without_data(part, evaluator, expr, start - longest_window(expr), end)
    show(alert, days, replayed)
    if missing:
        print(f"\nNothing of this is in the past that {part.name} has: {', '.join(missing)}")
        print("An alert that rests on it cannot have fired. Is it recorded, scraped, kept for so long?")
    return 1 if missing and not any(firings for _, firings in replayed) else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.backtest", description=__doc__)
    parser.add_argument("--stack", default="dev", help="the name in Pulumi.<stack>.yaml")
    parser.add_argument("--alert", required=True)
    parser.add_argument(
        "--set", action="append", default=[], metavar="VALUES", help="threshold=90%% or threshold=90%%,for=15m; repeat"
    )
    parser.add_argument("--days", default="7", help="how far back (%(default)s)")
    parser.add_argument("--url", help="of Prometheus, or of Loki for a log alert, where it is not the cluster's own")
    arguments = parser.parse_args()
    part = part_at(arguments.url) if arguments.url else None
    wanted = [text for given in arguments.set for text in given.split()]
    return evaluate(stack_settings(arguments.stack), arguments.alert, wanted, days(arguments.days), part)


def days(text: str) -> float:
    """How far back, in days. Raises UserError where it is no number, or no time that a Prometheus can have."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= MOST_DAYS:
        raise UserError(f"DAYS={text} is not a number above 0 and up to {MOST_DAYS}; write for example 7 or 0.5")
    return number


if __name__ == "__main__":
    run(main)
