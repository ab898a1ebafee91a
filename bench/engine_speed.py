"""Times the life of whole stacks under the real engine against the obvious program and helm, paired in one run.

The obvious program is what a newcomer writes: kube-prometheus-stack with its CRDs as one `helm.v4.Chart`, nothing else.
The floor is five small resources. Ours has the environment that `make up` and the workflows give the engine (its state
compressed, `GOGC`); the others run with the engine's defaults, with --tuned the obvious program once more with ours.
Each runs on a fresh local control plane with fake nodes, one after the other, ROUNDS times. Quote the ratios: machines
differ and are noisy; `spin`, the seconds of one fixed loop before each life, tells how much. With --out the figures
are written after each life: a run that is stopped keeps what it has.

    python -m bench.engine_speed [--rounds N] [--stacks dev prod] [--without obvious] [--tuned] [--out FILE]
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.subjects import FLOOR, OBVIOUS, STEPS, Helm, Ours, Plain, Subject, Times
from tools import charts, cluster, engine
from tools.cluster import Cluster
from tools.console import UserError, run, say
from tools.engine import FASTER, Engine, LocalStack
from tools.up import why_no_engine

GOALS = {"first preview": 6.0, "up": 25.0, "no-op preview": 6.0}
"""Seconds of each stack on two cores."""
RATIO = 4.0
"""How many times slower the obvious program is, in each step."""
RESOURCES = 200
"""Of the largest stack: so that the seconds are not those of a small one."""


def spin() -> float:
    """Seconds of a loop that is always the same: twice as many mean that the machine has half the speed just now."""
    started = time.perf_counter()
    sum(range(20_000_000))
    return time.perf_counter() - started


def subjects(
    found: Engine, stacks: list[str], without: list[str], *, tuned: bool
) -> dict[str, Callable[[Cluster, Path], Subject]]:
    """What makes each subject for a cluster and a folder of its own, by name, in their order."""
    chart = str(charts.chart("kube-prometheus-stack"))

    def plain(name: str, program: str, environment: Mapping[str, str]) -> Callable[[Cluster, Path], Subject]:
        def make(local: Cluster, folder: Path) -> Subject:
            text = program.format(kubeconfig=str(local.kubeconfig), chart=chart)
            return Plain(name, text, found, folder / name, environment)

        return make

    def ours(stack: str) -> Callable[[Cluster, Path], Subject]:
        return lambda local, folder: Ours(LocalStack(found, stack, folder / stack), local)

    # The floor first: it brings the engine into the machine's memory, which nobody else is to pay for.
    made = {"floor": plain("floor", FLOOR, {})}
    made |= {f"stack {stack}": ours(stack) for stack in stacks}
    made["helm"] = lambda local, folder: Helm(local, folder / "helm")
    made["obvious"] = plain("obvious", OBVIOUS, {})
    if tuned:
        made["obvious-tuned"] = plain("obvious-tuned", OBVIOUS, FASTER)
    return {name: make for name, make in made.items() if name not in without}


def measure(rounds: int, stacks: list[str], without: list[str], out: Path | None, *, tuned: bool) -> dict[str, Times]:
    """The times of all subjects after their rounds. Raises UserError where there is no engine.

    Each life has a cluster of its own. On one that had the CRDs before, the garbage collector may ask for objects of
    their kinds only half a minute after they are there again, and a `destroy` waits for it.
    """
    reason, found = why_no_engine(), engine.find()
    if reason or isinstance(found, str):
        raise UserError(f"nothing to measure: {reason or found}")
    chosen = subjects(found, stacks, without, tuned=tuned)
    times = {name: Times() for name in chosen}
    for number in range(1, rounds + 1):
        for name, make in chosen.items():
            with tempfile.TemporaryDirectory() as folder, cluster.fake(Path(folder)) as local:
                subject = make(local, Path(folder))
                subject.times = times[name]
                subject.times.spins.append(spin())
                try:
                    subject.life()
                except UserError as error:
                    # One that fails must not cost the figures of the others.
                    say(f"round {number}, {name}: {error}")
            words = ", ".join(f"{step} {values[-1]:.1f}" for step, values in times[name].seconds.items())
            machine = f"spin {times[name].spins[-1]:.2f}, load {os.getloadavg()[0]:.1f}"
            say(f"round {number}, {name}: {words or 'no figure'} ({machine})")
            if out:
                out.write_text(json.dumps(figures(times, number), indent=1))
    return times


def figures(times: Mapping[str, Times], rounds: int) -> dict[str, object]:
    """All figures with their conditions."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}, {rounds} rounds"
    return {
        "conditions": machine,
        "seconds": {name: of.seconds for name, of in times.items()},
        "spins": {name: of.spins for name, of in times.items()},
        "resources": {name: of.resources for name, of in times.items()},
    }


def missed(times: Mapping[str, Times], medians: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Each goal that is not met, in words, as far as it was measured."""
    ours = [name for name in times if name.startswith("stack ")]
    most = max((times[name].resources for name in ours), default=0)
    found = [f"the largest stack has {most} resources, fewer than {RESOURCES}"] if most < RESOURCES else []
    for name in ours:
        mine = medians[name]
        for step, goal in GOALS.items():
            if not mine.get(step, float("inf")) <= goal:
                found.append(f"{name}, {step}: above {goal:.0f} s")
        for step, theirs in medians.get("obvious", {}).items():
            if step in mine and theirs / mine[step] < RATIO:
                found.append(
                    f"{name}, {step}: {theirs / mine[step]:.1f} times faster than the obvious program, not {RATIO:.0f}"
                )
    return found


def show(times: Mapping[str, Times], rounds: int) -> bool:
    """Print the table with the ratios, and the goals that are missed; whether there is none."""
    table = Table("program", "resources", *STEPS, title="seconds, median of the rounds")
    medians = {
        name: {step: statistics.median(values) for step, values in of.seconds.items()} for name, of in times.items()
    }
    for name, values in medians.items():
        cells = [f"{values[step]:.1f}" if step in values else "" for step in STEPS]
        table.add_row(name, str(times[name].resources), *cells)
    for ours in (name for name in medians if name.startswith("stack ")):
        for other in (name for name in medians if not name.startswith("stack ")):
            mine, theirs = medians[ours], medians[other]
            ratios = {step: theirs[step] / mine[step] for step in STEPS if step in theirs and step in mine}
            table.add_row(f"{other} / {ours}", "", *(f"{ratios.get(s, float('nan')):.2f}" for s in STEPS))
    Console(width=140).print(table, figures(times, rounds)["conditions"])
    goals = missed(times, medians)
    for goal in goals:
        say(f"goal missed: {goal}")
    return not goals


def main() -> int:
    """Print the table; write the figures where asked; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine_speed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--stacks", nargs="+", default=["dev", "prod"])
    parser.add_argument("--without", nargs="+", default=[], choices=["floor", "helm", "obvious"])
    parser.add_argument("--tuned", action="store_true", help="the obvious program also with our engine's environment")
    parser.add_argument("--out", type=Path, help="write the figures as JSON, after each step")
    arguments = parser.parse_args()
    times = measure(arguments.rounds, arguments.stacks, arguments.without, arguments.out, tuned=arguments.tuned)
    return 0 if show(times, arguments.rounds) else 1


if __name__ == "__main__":
    run(main)
