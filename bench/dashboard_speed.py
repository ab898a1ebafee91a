"""How long each dashboard takes over 30 days: all its PromQL queries on a real Prometheus with 30 days of samples.

The series are those of the dashboard tests (tests/dashboards/data), once for each of some clusters; every cluster is
chosen. A dashboard's queries are asked as a browser asks them: six at a time, a point an hour, single values at the
end. What reads Loki is left out.

    python -m bench.dashboard_speed [--clusters 10] [--spacing 300]
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.dashboards import series
from tests.dashboards.daemons import Server, running_prometheus
from tests.dashboards.model import Dashboard, Target, dashboards
from tools import binaries
from tools.console import UserError, progress, run

DAYS = 30
POINT = 3600
"""Seconds between two points: what Grafana takes for 30 days on about 900 pixels."""
CONNECTIONS = 6
GOAL = 2.0
WINDOWS = {"__rate_interval": f"{POINT + series.STEP}s", "__interval": f"{POINT}s", "__auto": f"{POINT}s"}
AVERAGES = ("avg4m", "avg24h", "avg7d", "avg30d")
"""Recorded from probe_success; the tests let Prometheus record them, here they need a past."""
A_FILE = 5
"""Days in one text file: promtool reads a file anew for each block."""


@dataclass(frozen=True)
class Result:
    """One dashboard: seconds for all its queries, of the slowest, and its title."""

    dashboard: Dashboard
    queries: int
    total: float
    slowest: float
    panel: str


def history(clusters: int) -> series.Series:
    """The series of the healthy cluster, once for each cluster, and what is recorded of them."""
    found = dict(series.read("healthy"))
    for (metric, labels), value in list(found.items()):
        if metric == "probe_success":
            for window in AVERAGES:
                found[f"job_instance_service:probe_success:{window}", labels] = value
    return {
        (metric, tuple((name, f"c{number}" if name == "cluster" else label) for name, label in labels)): value
        for number in range(clusters)
        for (metric, labels), value in found.items()
    }


def load(found: series.Series, end: int, spacing: int, folder: Path, promtool: Path) -> None:
    """Blocks with 30 days of samples up to `end` in folder/tsdb."""
    text = folder / "history.txt"
    for begin in range(0, DAYS, A_FILE):
        first = end - (DAYS - begin) * 86400
        with text.open("w") as file:
            file.writelines(lines(found, range(first, min(first + A_FILE * 86400, end), spacing), end))
        options = ["--max-block-duration=162h", "-q"]
        command = [promtool, "tsdb", "create-blocks-from", "openmetrics", *options, text, folder / "tsdb"]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        text.unlink()
        if done.returncode != 0:
            raise UserError(f"promtool cannot import the synthetic series: {done.stderr.strip()}")


def lines(found: series.Series, times: range, end: int) -> Iterator[str]:
    """OpenMetrics text; a counter has grown by as many scrapes as have passed."""
    for (metric, labels), value in found.items():
        head = metric + "{" + ",".join(f'{name}="{label}"' for name, label in labels) + "} "
        steps = "+" in value.removeprefix("now+")
        fixed = None if steps else series.sample(value, 0, end)
        for moment in times:
            amount = series.sample(value, (moment - times.start) // series.STEP, end) if steps else fixed
            yield f"{head}{amount} {moment}\n"
    yield "# EOF\n"


def measure(server: Server, dashboard: Dashboard, end: int) -> Result:
    """Ask for a dashboard as a browser does."""
    targets = [target for panel in dashboard.panels for target in panel.targets if not target.is_loki]
    start = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        took = list(pool.map(lambda target: ask(server, target, end), targets))
    total = time.perf_counter() - start
    slowest = max(range(len(took)), key=took.__getitem__)
    return Result(dashboard, len(targets), total, took[slowest], targets[slowest].panel.title)


def ask(server: Server, target: Target, end: int) -> float:
    """Seconds that one query takes."""
    query = target.panel.dashboard.fill_in(target.expr, **WINDOWS, __range=f"{DAYS}d")
    begin = time.perf_counter()
    if target.is_instant:
        server.get("/api/v1/query", query=query, time=str(end))
    else:
        window = {"start": str(end - DAYS * 86400), "end": str(end), "step": str(POINT)}
        server.get("/api/v1/query_range", query=query, **window)
    return time.perf_counter() - begin


def main() -> None:
    """Load, measure, print."""
    parser = argparse.ArgumentParser(description="Time of each dashboard over 30 days.")
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--spacing", type=int, default=300, help="seconds between two samples")
    arguments = parser.parse_args()
    found, end = history(arguments.clusters), int(time.time()) // POINT * POINT
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with progress(f"importing {DAYS} days of {len(found)} series"):
            load(found, end, arguments.spacing, folder, binaries.find("promtool"))
        with running_prometheus(binaries.find("prometheus"), folder, {}) as (server, _):
            boards = [board for board in dashboards() if any(not t.is_loki for p in board.panels for t in p.targets)]
            # The first round warms the page cache, as the person before did.
            results = [[measure(server, board, end) for board in boards] for _ in range(2)][1]
    show(results, len(found) * DAYS * 86400 // arguments.spacing, len(found))


def show(results: list[Result], samples: int, count: int) -> None:
    """The table, and under which conditions it came about."""
    columns = ("dashboard", "PromQL queries", "30 days", "slowest query", "its panel")
    table = Table(*columns, box=None)
    for one in sorted(results, key=lambda one: -one.total):
        times = (f"{one.total:.2f} s", f"{one.slowest:.2f} s")
        table.add_row(str(one.dashboard.raw["title"]), str(one.queries), times[0], times[1], one.panel)
    Console(width=140).print(table)
    above = [one.dashboard.uid for one in results if one.total > GOAL]
    load_average = f"{os.getloadavg()[0]:.1f}"
    print(f"\n{count} series, {samples / 1e6:.0f} million samples, {os.cpu_count()} cores, load {load_average}.")
    print(f"Above {GOAL:.0f} s: {', '.join(above) or 'none'}.")


if __name__ == "__main__":
    run(main)
