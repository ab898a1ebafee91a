"""What the rules of a stack cost: each group's share of its interval on a real Prometheus with about 50000 series.

A synthetic cluster (bench/cluster.series) is scraped live each 30 s. Its last 16 minutes, the last hour of what is read
over an hour, and 30 days of availability are imported first, so that every window is full. The duration is Prometheus'
own prometheus_rule_group_last_duration_seconds; the slowest of the rounds counts. Groups of another interval are
evaluated each 30 s too, and their duration is set against their own interval.

    python -m bench.rule_cost [--stack prod] [--rounds 4]
"""

import argparse
import os
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from bench.cluster_series import Series, history, read, scrape
from components.rule_files import Selection
from components.stack import select_rules
from settings.base import seconds
from tools import binaries
from tools.console import UserError, progress, run
from tools.rules import stack_settings

GOAL = 0.05
STEP = 30
MINUTES, HOUR, DAY, AVAILABILITY_STEP = 16 * 60, 3600, 86400, 240
OVER_AN_HOUR = {"kube_pod_container_status_restarts_total", "namespace_container:log_api_deprecations:count1m"}
LIMIT = 300
"""Seconds that the measurement may take; a round takes 30."""
HEAD = "prometheus_tsdb_head_series"
_SAMPLE = re.compile(r'^(\w+)(?:\{rule_group="[^;]*;([^"]*)"\})? (\S+)$')
Samples = dict[str, dict[str, float]]


def write_history(series: list[Series], promtool: Path, folder: Path) -> None:
    """Blocks of the past in folder/tsdb."""
    now = int(time.time()) // STEP * STEP
    name = "job_instance_service:probe_success:avg4m"
    long = [one for one in series if one.metric in OVER_AN_HOUR]
    probes = [
        Series(name, f"{name}{one.head.removeprefix(one.metric)}", "1")
        for one in series
        if one.metric == "probe_success"
    ]
    _import(promtool, folder, series, range(now - MINUTES, now, STEP))
    _import(promtool, folder, long, range(now - HOUR, now - MINUTES, STEP))
    for day in range(30, 0, -1):
        # A day a file: promtool reads the whole file once for each block of two hours.
        end = now - HOUR - (day - 1) * DAY
        _import(promtool, folder, probes, range(end - DAY, end, AVAILABILITY_STEP))


def _import(promtool: Path, folder: Path, series: list[Series], times: range) -> None:
    text = folder / "history.txt"
    with text.open("w") as file:
        file.writelines(history(series, times))
    command: list[str | Path] = [promtool, "tsdb", "create-blocks-from", "openmetrics", "-q", text, folder / "tsdb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    text.unlink()
    if done.returncode != 0:
        raise UserError(f"promtool cannot import the synthetic series: {done.stderr.strip()}")


@contextmanager
def target(series: list[Series]) -> Iterator[int]:
    """A target on loopback that shows the series; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = scrape(series).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def prometheus(selection: Selection, scraped: int, folder: Path) -> Iterator[str]:
    """A Prometheus that evaluates the rules; the address of its metrics."""
    groups = [{**group, "interval": f"{STEP}s"} for file in selection.files for group in file.groups]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    job = {"job_name": "bench", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}
    config = {
        "global": {"scrape_interval": f"{STEP}s", "evaluation_interval": f"{STEP}s"},
        "rule_files": [str(folder / "rules.yaml")],
        "scrape_configs": [job],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [str(binaries.find("prometheus")), f"--config.file={folder / 'prometheus.yaml'}"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", "--storage.tsdb.retention.time=35d"]
    # No compaction of the imported blocks while the clock runs: more blocks make the 30 days dearer, not cheaper.
    command += ["--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        yield f"http://{address}/metrics"
    finally:
        process.terminate()
        process.wait(timeout=60)


def samples(url: str) -> Samples:
    """What Prometheus says of its rule groups: metric, then group (or nothing), to value. Empty before it is up."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (loopback)
            text = answer.read().decode()
    except OSError:
        return {}
    found: Samples = {}
    for line in text.splitlines():
        if match := _SAMPLE.match(line):
            found.setdefault(match[1], {})[match[2] or ""] = float(match[3])
    return found


def measure(url: str, names: set[str], rounds: int) -> tuple[dict[str, list[float]], Samples]:
    """Seconds of each group's evaluations, and the last samples. The first one does not count: it restores alerts.

    Raises UserError where not all groups have had their rounds in time.
    """
    durations: dict[str, list[float]] = {name: [] for name in names}
    seen: dict[str, float] = {}
    stop = time.monotonic() + LIMIT
    while time.monotonic() < stop:
        now = samples(url)
        for name, count in now.get("prometheus_rule_group_iterations_total", {}).items():
            if count > seen.get(name, 0):
                if count > 1:
                    durations[name].append(now["prometheus_rule_group_last_duration_seconds"][name])
                seen[name] = count
        if all(len(values) >= rounds for values in durations.values()):
            return durations, now
        time.sleep(2)
    late = sorted(name for name, values in durations.items() if len(values) < rounds)
    raise UserError(f"after {LIMIT} s these groups have not been evaluated {rounds + 1} times: {', '.join(late)}")


def show(stack: str, groups: dict[str, Any], durations: dict[str, list[float]], last: Samples) -> bool:
    """Print the table and its conditions; whether the goal is met."""
    table = Table("group", "rules", "interval", "median ms", "slowest ms", "share of interval")
    shares = {name: max(values) / seconds(groups[name]["interval"]) for name, values in durations.items()}
    for name in sorted(shares, key=lambda one: -shares[one]):
        times = [f"{figure(durations[name]) * 1e3:.1f}" for figure in (statistics.median, max)]
        table.add_row(name, str(len(groups[name]["rules"])), groups[name]["interval"], *times, f"{shares[name]:.2%}")
    rules = sum(len(group["rules"]) for group in groups.values())
    failures = sum(last["prometheus_rule_evaluation_failures_total"].values())
    missed = sum(last["prometheus_rule_group_iterations_missed_total"].values())
    machine = (
        f"Prometheus {binaries.TOOLS['prometheus'].release}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    dearest = max(shares.values())
    Console(width=110).print(
        table,
        f"Stack {stack}: {rules} rules in {len(groups)} groups; {last[HEAD]['']:.0f} series in the head; {machine}.",
        f"Dearest group {dearest:.2%} of its interval (goal {GOAL:.0%}), all together {sum(shares.values()):.2%}; "
        f"{failures:.0f} failed evaluations, {missed:.0f} missed. The slowest round counts.",
        sep="\n",
    )
    return dearest <= GOAL and failures == 0


def main() -> int:
    """Measure and print; 1 where a group is above the goal or an evaluation failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.rule_cost", description=__doc__)
    parser.add_argument("--stack", default="prod")
    parser.add_argument("--rounds", type=int, default=4, help="evaluations of each group that count")
    arguments = parser.parse_args()
    settings = stack_settings(arguments.stack)
    selection, _ = select_rules(settings)
    groups = {group["name"]: group for file in selection.files for group in file.groups}
    series = read(settings.cluster.name)
    with tempfile.TemporaryDirectory(prefix="rule-cost-") as name, target(series) as port:
        with progress(f"importing the past of {len(series)} series"):
            write_history(series, binaries.find("promtool"), Path(name))
        with prometheus(selection, port, Path(name)) as url, progress(f"measuring {arguments.rounds} rounds"):
            durations, last = measure(url, set(groups), arguments.rounds)
    if last[HEAD][""] < len(series):
        raise UserError(
            f"Prometheus holds {last[HEAD]['']:.0f} series, the target shows {len(series)}: it measured less"
        )
    return 0 if show(arguments.stack, groups, durations, last) else 1


if __name__ == "__main__":
    run(main)
