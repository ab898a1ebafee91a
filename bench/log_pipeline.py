"""What the log pipeline carries on this machine: lines of containers through Promtail into Loki, with all rules loaded.

Numbered lines of ordinary text are written into the files of some containers at a steady rate. Each second the newest
line of one container that a query finds is compared with the clock: that is the lag. At the end every line is counted,
which is no part of the processor time that is told. Then a word is looked for in a large number of lines.

    python -m bench.log_pipeline [--rate 4] [--minutes 10] [--lines 5000000] [--agent promtail] [--without-rules]
"""

import argparse
import os
import random
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from components.alert_rules import content
from components.stack import select_rules
from settings import Settings
from tools.console import UserError, progress, run, say
from tools.faults.__main__ import AGENTS, with_agent
from tools.faults.agents import Agent, Files, agent
from tools.faults.daemons import Daemon, loki, until
from tools.faults.lines import push

CONTAINERS = 20
WORDS = ("request", "served", "order", "cart", "payment", "user", "session", "cache", "retry", "queue", "worker")
LABELS = {"namespace": "shop", "container": "main", "app": "bench", "node": "node-1"}
SELECTOR = '{app="bench"}'
ONE = '{app="bench", pod="0"}'
"""One container of all: asking for every line would cost Loki more than taking it."""
SEARCHES = 40
AHEAD = 5.0
"""Seconds: so much further back than the last lag the next newest line is looked for."""
PATIENCE = 600.0
"""Seconds."""
SECOND = 10**9


@dataclass
class Load:
    """Writes lines at a steady rate, in turn into the file of each container."""

    folder: Path
    rate: float
    """Bytes a second."""
    written: int = 0
    size: int = 0
    last: int = 0
    """Time of the last line of the first container, in nanoseconds."""
    words: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 (text, no secret)

    def write_for(self, seconds: float) -> Iterator[None]:
        """Write a second's worth a second, and yield after each."""
        files = [(self.folder / f"{number}.log").open("a", encoding="utf-8") for number in range(CONTAINERS)]
        started = time.monotonic()
        due = self.size
        while (passed := time.monotonic() - started) < seconds:
            due = int(passed * self.rate)
            now = time.time_ns()
            while self.size < due:
                file = files[self.written % CONTAINERS]
                at = now + self.written % SECOND
                self.size += file.write(_line(at, self.written, self.words))
                self.last = at if file is files[0] else self.last
                self.written += 1
            for file in files:
                file.flush()
            yield
            time.sleep(max(0.0, 0.2 - (time.monotonic() - started - passed)))
        for file in files:
            file.close()


def _line(at: int, number: int, words: random.Random) -> str:
    stamp = datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{at % SECOND:09d}Z stdout F {_text(number, words)}\n"


def _text(number: int, words: random.Random) -> str:
    said = " ".join(words.choices(WORDS, k=14))
    return f'level=info seq={number:09d} id={words.getrandbits(64):016x} msg="{said}" ms={words.randrange(2000)}'


def lag(server: Daemon, tenant: str, since: float) -> float:
    """Seconds between the clock and the newest line that a query finds; it looks `since` seconds back, or further."""
    at = newest(server, tenant, since)
    return time.time() - at / SECOND


def newest(server: Daemon, tenant: str, since: float) -> int:
    """Time of that line, in nanoseconds."""
    times: list[int] = []

    def found() -> bool:
        nonlocal since
        span, since = f"{since:.0f}s", min(2 * since, PATIENCE)
        answer = server.get("/loki/api/v1/query_range", tenant, query=ONE, limit="1", since=span)["data"]["result"]
        times.extend(int(stream["values"][0][0]) for stream in answer)
        return bool(times)

    until("a line in Loki", found, PATIENCE)
    return max(times)


def count(server: Daemon, tenant: str, since: float) -> int:
    """Lines that came since a time, asked for minute by minute: no query takes long."""
    found = 0
    for end in range(int(since) + 60, int(time.time()) + 120, 60):
        query = f"sum(count_over_time({SELECTOR}[1m]))"
        answer = server.get("/loki/api/v1/query", tenant, query=query, time=str(end))["data"]["result"]
        found += int(float(answer[0]["value"][1])) if answer else 0
    return found


def sustained(server: Daemon, reader: Agent, load: Load, tenant: str, minutes: float) -> None:
    """Write at the rate of the load, and say what arrived, how late, and what it cost."""
    lags, memory, began = [], [0, 0], time.time()
    before = [one.processor_seconds() for one in (server, reader)]
    with ThreadPoolExecutor(1) as pool, progress(f"writing {load.rate / 2**20:.1f} MiB/s for {minutes:g} min"):
        asked, last = pool.submit(lag, server, tenant, AHEAD), time.monotonic()
        for _ in load.write_for(minutes * 60):
            if asked.done() and time.monotonic() - last > 1:
                lags.append(asked.result())
                memory = [max(old, one.memory()) for old, one in zip(memory, (server, reader), strict=True)]
                asked, last = pool.submit(lag, server, tenant, lags[-1] + AHEAD), time.monotonic()
    until("the last lines", lambda: newest(server, tenant, AHEAD) >= load.last, PATIENCE)
    used = [one.processor_seconds() - old for one, old in zip((server, reader), before, strict=True)]
    until("every line", lambda: count(server, tenant, began) >= load.written, PATIENCE)
    # The first samples are from before the agent had opened its files.
    lags = sorted(lags[15:])
    lost = load.written - count(server, tenant, began)
    say(f"{load.size / 2**20:.0f} MiB, {load.written:,} lines in {minutes:g} min: {lost} lost")
    say(f"lag p50 {statistics.median(lags):.1f} s, p99 {lags[int(len(lags) * 0.99)]:.1f} s ({len(lags)} samples)")
    for name, bytes_, seconds in zip(("Loki with its ruler", "log agent"), memory, used, strict=True):
        cost = seconds / (load.size / 2**20) * 1000
        say(f"{name}: {bytes_ / 2**20:.0f} MiB of memory at most, {cost:.0f} ms of a processor for each MiB")


def search(server: Daemon, tenant: str, lines: int) -> None:
    """Fill Loki with so many lines of the last hour, and look for words that occur once."""
    words, wanted = random.Random(2), {}  # noqa: S311 (text, no secret)
    step = 3000 * SECOND // lines
    start = time.time_ns() - 3100 * SECOND
    with progress(f"pushing {lines:,} lines"):
        for first in range(0, lines, 5000):
            batch = [(start + number * step, _text(number, words)) for number in range(first, min(first + 5000, lines))]
            push(server, tenant, {**LABELS, "app": "search", "pod": f"search-{first // 5000 % CONTAINERS}"}, batch)
            at, text = words.choice(batch)
            wanted[text.split("id=")[1][:16]] = at
    took = []
    for word in words.sample(sorted(wanted), min(SEARCHES, len(wanted))):
        asked = time.monotonic()
        query = f'{{app="search"}} |= "{word}"'
        answer = server.get("/loki/api/v1/query_range", tenant, query=query, since="1h", limit="100")["data"]["result"]
        took.append(time.monotonic() - asked)
        if [value[0] for stream in answer for value in stream["values"]] != [str(wanted[word])]:
            raise UserError(f"the search for {word} found {answer}")
    took.sort()
    p95 = took[int(len(took) * 0.95)]
    say(f"search of a word in {lines:,} lines: p50 {statistics.median(took):.2f} s, p95 {p95:.2f} s")


def with_rules(folder: Path, settings: Settings) -> int:
    """Write every rule file of the stack where the ruler looks; how many groups there are."""
    files = select_rules(settings)[1].files
    tenant = folder / "etc/loki/rules" / settings.loki.tenant
    tenant.mkdir(parents=True)
    for file in files:
        (tenant / f"{file.name}.yaml").write_text(content(file))
    return sum(len(file.groups) for file in files)


def main() -> None:
    """Run both and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.log_pipeline", description=__doc__)
    parser.add_argument("--rate", type=float, default=4, help="MiB/s (default: 4)")
    parser.add_argument("--minutes", type=float, default=10, help="default: 10")
    parser.add_argument("--lines", type=int, default=5_000_000, help="lines to search in; 0: none (default: 5,000,000)")
    parser.add_argument("--agent", choices=AGENTS, default=AGENTS[0])
    parser.add_argument("--without-rules", action="store_true", help="the difference is what the ruler takes")
    chosen = parser.parse_args()
    settings = with_agent(chosen.agent)
    unlimited = {"ingestion_rate_mb": 1000, "ingestion_burst_size_mb": 1000, "per_stream_rate_limit": "1GB"}
    unlimited |= {"per_stream_rate_limit_burst": "1GB"}
    with tempfile.TemporaryDirectory(prefix="bench-logs-") as name:
        folder = Path(name)
        groups = 0 if chosen.without_rules else with_rules(folder, settings)
        pods = folder / "pods"
        pods.mkdir()
        for number in range(CONTAINERS):
            (pods / f"{number}.log").touch()
        server = loki(folder, settings, unlimited)
        reader = agent(folder, settings, server.url, Files(pods, LABELS, a_pod_each=True))
        say(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the start, {groups} rule groups loaded")
        try:
            server.start().ready()
            reader.start().ready()
            until("all files opened", lambda: reader.opened() >= CONTAINERS)
            sustained(server, reader, Load(pods, chosen.rate * 2**20), settings.loki.tenant, chosen.minutes)
            reader.end()
            if chosen.lines:
                search(server, settings.loki.tenant, chosen.lines)
        finally:
            reader.end(signal.SIGKILL)
            server.end(signal.SIGKILL)


if __name__ == "__main__":
    run(main)
