"""How the engine's time grows with the rules and dashboards of more clusters: 100 to 900 resources in one program.

Each copy is the rules and dashboards of one more cluster, in a namespace of its own, made by this project's own
components. The exponent is the slope of the logarithms: 1 is as much longer as there are more resources.

The backend is a folder, which is given the whole state before and after each object, or a stand-in for a service that
is sent a journal of what changed. The stand-in's own cost is not that of Pulumi Cloud.

    python -m bench.growth [--backend folder|journal] [--rounds N] [--copies 2 4 8 13] [--out FILE]
"""

import argparse
import json
import math
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import journal_service
from bench.subjects import Plain
from tools import charts, cluster, engine
from tools.console import UserError, run, say
from tools.up import why_no_engine

GOAL = 1.1
STEPS = ("first preview", "up", "no-op preview", "destroy")
BACKENDS = ("folder", "journal")
PROGRAM = """
import pulumi, pulumi_kubernetes as k8s
from components.alert_rules import AlertRules
from components.dashboards import Dashboards
from components.stack import select_dashboards, select_rules
from settings import parse
provider = k8s.Provider("cluster", kubeconfig={kubeconfig!r})
for number in range({copies}):
    name = f"grow-{{number}}"
    settings = parse({{
        "cluster": {{"name": name, "distribution": "eks"}},
        "namespaces": {{"main": name, "agents": name + "-agents"}},
        "alertmanager": {{"heartbeat": "none"}},
    }}, name)
    opts = pulumi.ResourceOptions(provider=provider)
    namespace = k8s.core.v1.Namespace(name, metadata={{"name": name}}, opts=opts)
    child = pulumi.ResourceOptions(providers=[provider], depends_on=[namespace])
    prometheus, loki = select_rules(settings)
    AlertRules(f"{{name}}-rules", settings=settings, prometheus=prometheus, loki=loki, crds=namespace,
               copies_after=namespace, opts=child)
    Dashboards(f"{{name}}-boards", settings=settings, dashboards=select_dashboards(settings).shipped, opts=child)
"""


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of log(seconds) over log(size), by least squares. ValueError for fewer than two sizes."""
    if len(set(sizes)) < 2:
        raise ValueError("needs at least two sizes")
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in seconds]
    middle, level = statistics.mean(x), statistics.mean(y)
    return sum((a - middle) * (b - level) for a, b in zip(x, y, strict=True)) / sum((a - middle) ** 2 for a in x)


@dataclass(frozen=True)
class Figures:
    """Of one size: medians of each step in seconds, and the state's size in bytes as an export writes it."""

    seconds: dict[str, float]
    state_bytes: int


@contextmanager
def environment(backend: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """What a process needs to use the backend, which lives until the end of the block."""
    if backend == "folder":
        # As `make up` has it.
        yield engine.FASTER
        return
    with journal_service.running() as service:
        try:
            yield service.environment(folder / "login")
        finally:
            if service.unknown:
                say(f"the stand-in does not know what it was asked: {', '.join(sorted(set(service.unknown)))}")


def measure(rounds: int, copies: list[int], backend: str) -> dict[int, Figures]:
    """Figures by the number of resources. Raises UserError where there is no engine."""
    reason, found = why_no_engine(), engine.find()
    chart = charts.chart("prometheus-operator-crds")
    if reason or isinstance(found, str) or chart is None:
        raise UserError(f"nothing to measure: {reason or found}")
    result: dict[int, Figures] = {}
    with (
        tempfile.TemporaryDirectory() as name,
        cluster.fake(Path(name)) as local,
        environment(backend, Path(name)) as variables,
    ):
        crds = charts.template(chart, "crds", "default", {})
        items = json.dumps({"kind": "List", "apiVersion": "v1", "items": crds})
        local.kubectl("apply", "--server-side", "--filename=-", stdin=items)
        for count in copies:
            program = PROGRAM.format(kubeconfig=str(local.kubeconfig), copies=count)
            subject = Plain(f"grow{count}", program, found, Path(name) / f"grow-{count}", variables)
            for _ in range(rounds):
                subject.life()
            times = subject.times
            medians = {step: statistics.median(times.seconds[step]) for step in STEPS}
            result[times.resources] = Figures(medians, times.state_bytes)
            words = ", ".join(f"{step} {value:.1f}" for step, value in medians.items())
            say(f"{times.resources} resources: {words} (load {os.getloadavg()[0]:.1f})")
    return result


def main() -> int:
    """Print the table and the exponents; 1 where one of a step is above the goal."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, default=BACKENDS[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--copies", type=int, nargs="+", default=[2, 4, 8, 13])
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    found = measure(arguments.rounds, arguments.copies, arguments.backend)
    sizes = list(found)
    exponents = {step: exponent(sizes, [one.seconds[step] for one in found.values()]) for step in STEPS}
    state = exponent(sizes, [one.state_bytes for one in found.values()])
    table = Table(
        "resources", *STEPS, "state, MB", title=f"seconds, median of the rounds; backend: {arguments.backend}"
    )
    for size, one in found.items():
        table.add_row(str(size), *(f"{one.seconds[step]:.1f}" for step in STEPS), f"{one.state_bytes / 1e6:.1f}")
    table.add_row("exponent", *(f"{exponents[step]:.2f}" for step in STEPS), f"{state:.2f}")
    conditions = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds"
    Console(width=100).print(table, conditions)
    if arguments.out:
        figures = {
            "conditions": conditions,
            "backend": arguments.backend,
            "seconds": {size: one.seconds for size, one in found.items()},
            "state_bytes": {size: one.state_bytes for size, one in found.items()},
            "exponents": {**exponents, "state": state},
        }
        arguments.out.write_text(json.dumps(figures, indent=1))
    return 0 if all(value <= GOAL for value in exponents.values()) else 1


if __name__ == "__main__":
    run(main)
