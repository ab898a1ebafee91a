"""`make clusters`: renders every stack file and says in one table what each cluster runs. No engine, no cluster."""

import argparse
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from pulumi import RunError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.stack import select_rules
from settings import Settings
from settings.reader import PROJECT, secret_keys
from tools.console import UserError, progress, run, say
from tools.manifests import objects_of
from tools.synth import ROOT, placeholder, settings_of, stack_config, synthesize


@dataclass(frozen=True)
class Row:
    """What one stack runs, or the mistake in its file."""

    stack: str
    cells: tuple[str, ...] = ()
    error: str = ""


COLUMNS = (
    *("environment", "distribution", "runs", "alerts", "left out", "objects"),
    *("Prometheus", "Loki", "Alertmanager", "GPU", "hub"),
)


def row(file: Path) -> Row:
    """Renders one stack file. A mistake in it is part of the answer: the other stacks are rendered all the same."""
    stack = file.name.removeprefix("Pulumi.").removesuffix(".yaml")
    try:
        config = stack_config(file)
        settings = settings_of(file, config)
        secrets = {key: placeholder(key) for key in secret_keys(settings) if f"{PROJECT}:{key}" not in config}
        program = synthesize(stack, config, secrets=secrets)
        return Row(stack, _cells(settings, sum(objects_of(item) is not None for item in program.resources)))
    except RunError as error:
        return Row(stack, error=str(error))


def _cells(settings: Settings, objects: int) -> tuple[str, ...]:
    selections = select_rules(settings)
    prometheus, loki, alertmanager = settings.prometheus, settings.loki, settings.alertmanager
    return (
        settings.environment or "none",
        settings.cluster.distribution.value,
        ", ".join(software.value for software in settings.cluster.runs) or "nothing optional",
        str(sum(len(selection.alerts()) for selection in selections)),
        str(sum(len(selection.left_out) for selection in selections)),
        str(objects),
        f"{prometheus.replicas} x {prometheus.retention}, {prometheus.volume_size}",
        f"{loki.mode if loki.distributed else loki.replicas} x {loki.retention}, {loki.storage.type}",
        str(alertmanager.replicas),
        settings.dcgm.mode,
        _hub(settings),
    )


def _hub(settings: Settings) -> str:
    sends = [("metrics", settings.prometheus.remote_write), ("logs", settings.central_logs)]
    words = ["is one"] if settings.hub.enabled or settings.hub.log_senders else []
    words += [f"gets {what}" for what, given in sends if given]
    return ", ".join(words) or "none"


def rows(files: Iterable[Path]) -> list[Row]:
    """All stack files, rendered by as many processes as there are cores."""
    found = list(files)
    # A fresh interpreter each: the SDK's state does not survive a fork.
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(found) or 1), get_context("spawn")) as pool:
        return list(pool.map(row, found, chunksize=max(1, len(found) // 8)))


def main() -> int:
    """Print the table; exit code 1 where a stack file has a mistake."""
    parser = argparse.ArgumentParser(prog="python -m tools.clusters", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT, help="folder of the stack files (default: the project's)")
    folder = parser.parse_args().folder
    files = sorted(folder.glob("Pulumi.*.yaml"))
    if not files:
        raise UserError(f"{folder} has no file Pulumi.<stack>.yaml; write one: make new-cluster NAME=...")
    with progress(f"Rendering {len(files)} stacks"):
        found = rows(files)
    table = Table("stack", *COLUMNS)
    for item in found:
        table.add_row(Text(item.stack), *(Text(cell) for cell in item.cells or ("has mistakes",)))
    Console(width=None if Console().is_terminal else 180).print(table)
    wrong = [item for item in found if item.error]
    for item in wrong:
        say(f"error: {item.error}")
    say(f"{len(found)} stacks, {len(wrong)} with mistakes. Objects of charts are not counted.")
    return 1 if wrong else 0


if __name__ == "__main__":
    run(main)
