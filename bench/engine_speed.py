"""Times the life of whole stacks under the real engine against the obvious program and helm, paired in one run.

The obvious program is what a newcomer writes: kube-prometheus-stack with its CRDs as one `helm.v4.Chart`, nothing else.
The floor is five small resources. Ours has the environment that `make up` and the workflows give the engine (its state
compressed, `GOGC`); the others run with the engine's defaults, with --tuned the obvious program once more with ours.
All run on the same local control plane with fake nodes, one after the other, ROUNDS times. Quote the ratios: machines
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
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.subjects import FLOOR, OBVIOUS, STEPS, Helm, Ours, Plain, Subject
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
    found: Engine, local: Cluster, folder: Path, stacks: list[str], without: list[str], *, tuned: bool
) -> list[Subject]:
    """All that are to be timed, in their order."""
    kubeconfig, chart = str(local.kubeconfig), str(charts.chart("kube-prometheus-stack"))
    # The floor first: it brings the engine into the machine's memory, which nobody else is to pay for.
    made: list[Subject] = [Plain("floor", FLOOR.format(kubeconfig=kubeconfig), found, local, folder / "floor")]
    made += [Ours(LocalStack(found, stack, folder / f"ours-{stack}"), local, f"stack {stack}") for stack in stacks]
    made.append(Helm(local, folder / "helm"))
    program = OBVIOUS.format(kubeconfig=kubeconfig, chart=chart)
    made.append(Plain("obvious", program, found, local, folder / "obvious"))
    if tuned:
        made.append(Plain("obvious-tuned", program, found, local, folder / "obvious-tuned", FASTER))
    return [subject for subject in made if subject.name.split()[0] not in without]


def measure(rounds: int, stacks: list[str], without: list[str], out: Path | None, *, tuned: bool) -> list[Subject]:
    """All subjects after their rounds. Raises UserError where there is no engine."""
    reason, found = why_no_engine(), engine.find()
    if reason or isinstance(found, str):
        raise UserError(f"nothing to measure: {reason or found}")
    with tempfile.TemporaryDirectory() as name, cluster.fake(Path(name)) as local:
        chosen = subjects(found, local, Path(name), stacks, without, tuned=tuned)
        for number in range(1, rounds + 1):
            for subject in chosen:
                subject.times.spins.append(spin())
                try:
                    subject.life()
                except UserError as error:
                    # One that fails must not cost the figures of the others.
                    say(f"round {number}, {subject.name}: {error}")
                subject.clear()
                words = ", ".join(f"{step} {values[-1]:.1f}" for step, values in subject.times.seconds.items())
                machine = f"spin {subject.times.spins[-1]:.2f}, load {os.getloadavg()[0]:.1f}"
                say(f"round {number}, {subject.name}: {words or 'no figure'} ({machine})")
                if out:
                    out.write_text(json.dumps(figures(chosen, number), indent=1))
    return chosen


def figures(chosen: list[Subject], rounds: int) -> dict[str, object]:
    """All figures with their conditions."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}, {rounds} rounds"
    seconds = {subject.name: subject.times.seconds for subject in chosen}
    return {
        "conditions": machine,
        "seconds": seconds,
        "spins": {subject.name: subject.times.spins for subject in chosen},
        "resources": {subject.name: subject.times.resources for subject in chosen},
    }


def missed(chosen: list[Subject], medians: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Each goal that is not met, in words, as far as it was measured."""
    ours = [subject for subject in chosen if isinstance(subject, Ours)]
    most = max((subject.times.resources for subject in ours), default=0)
    found = [f"the largest stack has {most} resources, fewer than {RESOURCES}"] if most < RESOURCES else []
    for name, mine in ((subject.name, medians[subject.name]) for subject in ours):
        for step, goal in GOALS.items():
            if not mine.get(step, float("inf")) <= goal:
                found.append(f"{name}, {step}: above {goal:.0f} s")
        for step, theirs in medians.get("obvious", {}).items():
            if step in mine and theirs / mine[step] < RATIO:
                found.append(
                    f"{name}, {step}: {theirs / mine[step]:.1f} times faster than the obvious program, not {RATIO:.0f}"
                )
    return found


def show(chosen: list[Subject], rounds: int) -> bool:
    """Print the table with the ratios, and the goals that are missed; whether there is none."""
    table = Table("program", "resources", *STEPS, title="seconds, median of the rounds")
    medians = {
        subject.name: {step: statistics.median(values) for step, values in subject.times.seconds.items()}
        for subject in chosen
    }
    for subject in chosen:
        values = medians[subject.name]
        cells = [f"{values[step]:.1f}" if step in values else "" for step in STEPS]
        table.add_row(subject.name, str(subject.times.resources), *cells)
    for ours in (subject for subject in chosen if isinstance(subject, Ours)):
        mine = medians[ours.name]
        for other in (subject for subject in chosen if not isinstance(subject, Ours)):
            theirs = medians[other.name]
            ratios = {step: theirs[step] / mine[step] for step in STEPS if step in theirs and step in mine}
            table.add_row(f"{other.name} / {ours.name}", "", *(f"{ratios.get(s, float('nan')):.2f}" for s in STEPS))
    Console(width=140).print(table, figures(chosen, rounds)["conditions"])
    goals = missed(chosen, medians)
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
    chosen = measure(arguments.rounds, arguments.stacks, arguments.without, arguments.out, tuned=arguments.tuned)
    return 0 if show(chosen, arguments.rounds) else 1


if __name__ == "__main__":
    run(main)
