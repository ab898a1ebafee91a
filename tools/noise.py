"""`make noise`: how often each alert fired, and how often it went away by itself. From Prometheus' ALERTS series.

An alert that ends within 10 minutes asked nobody to act: it should wait longer (`for`), get another threshold, or go.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from rich.console import Console
from rich.table import Table

from tools.console import UserError, progress, run
from tools.reach import Part, part_at

STEP = 60
"""Seconds between two samples that are asked for."""
SHORT = 600
"""Seconds within which an alert went away by itself."""
WEEK = 7 * 86400
DAY = 86400
QUERY = 'ALERTS{alertstate="firing", severity!="none"}'
CANDIDATE_FIRINGS, CANDIDATE_SHARE = 5, 0.8


@dataclass
class Noise:
    """What one alert of one cluster did in one week."""

    firings: int = 0
    short: int = 0
    ended: int = 0
    seconds: int = 0
    ids: set[str] = field(default_factory=set)

    @property
    def share(self) -> float:
        """Share of the ended firings that took at most 10 minutes; 0 where none has ended."""
        return self.short / self.ended if self.ended else 0.0

    @property
    def candidate(self) -> bool:
        """Whether probably nobody ever acted on it."""
        return self.firings >= CANDIDATE_FIRINGS and self.share >= CANDIDATE_SHARE


def episodes(times: Sequence[int], end: int) -> Iterator[tuple[int, int, bool]]:
    """Begin, end and whether it ended, of each firing: samples without a gap of more than two steps."""
    begin = last = None
    for moment in times:
        if begin is None or last is None:
            begin = moment
        elif moment - last > 2 * STEP:
            yield begin, last + STEP, True
            begin = moment
        last = moment
    if begin is not None and last is not None:
        yield begin, last + STEP, last < end - 2 * STEP


def count(
    series: dict[str, tuple[dict[str, str], list[int]]], start: int, end: int
) -> dict[tuple[str, str, int], Noise]:
    """Noise by alert, cluster and week (0 is the last one), from the sample times of each series."""
    result: dict[tuple[str, str, int], Noise] = {}
    for identity, (labels, times) in series.items():
        for begin, finish, ended in episodes(sorted(times), end):
            key = (labels.get("alertname", "?"), labels.get("cluster", "?"), (end - begin - 1) // WEEK)
            noise = result.setdefault(key, Noise())
            # What fired at the first sample began before; how long it took is not known.
            known = ended and begin > start
            noise.firings += 1
            noise.ended += known
            noise.short += known and finish - begin <= SHORT
            noise.seconds += finish - begin
            noise.ids.add(identity)
    return result


def read(url: str, start: int, end: int) -> dict[str, tuple[dict[str, str], list[int]]]:
    """Labels and sample times of every firing alert, asked for day by day.

    Raises UserError where Prometheus does not answer.
    """
    prometheus = part_at(url)
    series: dict[str, tuple[dict[str, str], list[int]]] = {}
    for begin in range(start, end, DAY):
        query = {"query": QUERY, "start": begin, "end": min(begin + DAY - STEP, end), "step": STEP}
        for found in _result(prometheus, f"/api/v1/query_range?{urlencode(query)}"):
            labels = {name: value for name, value in found["metric"].items() if name not in {"__name__", "alertstate"}}
            _, times = series.setdefault(json.dumps(labels, sort_keys=True), (labels, []))
            times += [int(moment) for moment, _ in found["values"]]
    return series


def _result(prometheus: Part, path: str) -> Any:
    answer = prometheus.read(path)
    try:
        return answer["data"]["result"]
    except (TypeError, KeyError):
        raise UserError(f"{prometheus.url} is no Prometheus: its answer has no result") from None


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(prog="python -m tools.noise", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:9090", help="address of Prometheus (%(default)s)")
    parser.add_argument("--weeks", type=int, default=1, help="how many weeks back (%(default)s)")
    arguments = parser.parse_args()
    if arguments.weeks < 1:
        raise UserError("give --weeks of at least 1")
    # Whole steps: the answers of two days then meet without a gap.
    end = int(time.time()) // STEP * STEP
    start = end - arguments.weeks * WEEK
    with progress("asking Prometheus"):
        noise = count(read(arguments.url, start, end), start, end)
    table = Table(
        "alert", "cluster", "weeks ago", "firings", "series", "hours", "gone within 10 min", "", title="Noise"
    )
    for (alert, cluster, week), found in sorted(noise.items(), key=lambda item: (item[0][2], -item[1].firings)):
        share = f"{100 * found.share:.0f} %" if found.ended else "none ended"
        hours = f"{found.seconds / 3600:.1f}"
        mark = "probably nobody acted" if found.candidate else ""
        table.add_row(alert, cluster, str(week), str(found.firings), str(len(found.ids)), hours, share, mark)
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)
    firings = sum(found.firings for found in noise.values())
    console.print(f"{firings} firings in {arguments.weeks} weeks; {len(noise)} rows.")


if __name__ == "__main__":
    run(main)
