"""Times the life of stack dev under the real engine against the obvious program, paired in one run.

The obvious program is what a newcomer writes: kube-prometheus-stack with its CRDs as one `helm.v4.Chart`, nothing else.
Both run on the same local control plane with fake nodes, one after the other, ROUNDS times; the engine's floor (five
small resources) is timed beside them. Quote the ratios: machines differ and are noisy.

    python -m bench.engine_speed [--rounds N] [--out FILE]
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools import charts, cluster, engine
from tools.console import UserError, run
from tools.engine import Engine, LocalStack
from tools.synth import ROOT
from tools.up import why_no_engine

STEPS = ("first preview", "up", "no-op preview", "destroy")
OBVIOUS = """
import pulumi, pulumi_kubernetes as k8s
provider = k8s.Provider("cluster", kubeconfig={kubeconfig!r})
opts = pulumi.ResourceOptions(provider=provider)
namespace = k8s.core.v1.Namespace("obvious", metadata={{"name": "obvious"}}, opts=opts)
values = {{"prometheusOperator": {{"admissionWebhooks": {{"enabled": False}}, "tls": {{"enabled": False}}}},
          "grafana": {{"adminPassword": "bench-only"}}}}
k8s.helm.v4.Chart("kps", chart={chart!r}, namespace="obvious", values=values,
                  opts=pulumi.ResourceOptions(provider=provider, depends_on=[namespace]))
"""
FLOOR = """
import pulumi, pulumi_kubernetes as k8s
provider = k8s.Provider("cluster", kubeconfig={kubeconfig!r})
for index in range(5):
    k8s.core.v1.ConfigMap(f"floor-{{index}}", metadata={{"name": f"floor-{{index}}", "namespace": "default"}},
                          data={{"a": "b"}}, opts=pulumi.ResourceOptions(provider=provider))
"""


@dataclass
class Subject:
    """A program under the clock: how its CLI is called, and the seconds of each step by round."""

    name: str
    engine: Engine
    arguments: list[str]
    stack_arguments: list[str]
    """Arguments of `stack` commands, which know no --config-file."""
    environment: dict[str, str]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    resources: int = 0

    def timed(self, step: str, *command: str) -> None:
        """Run one step and write its time down."""
        started = time.monotonic()
        self.engine.run([*command, *self.arguments], self.environment, quiet=True)
        self.seconds.setdefault(step, []).append(time.monotonic() - started)

    def life(self) -> None:
        """First preview, up, no-op preview that must be clean, destroy."""
        self.timed("first preview", "preview")
        self.timed("up", "up", "--yes", "--skip-preview")
        exported = json.loads(self.engine.run(["stack", "export", *self.stack_arguments], self.environment, quiet=True))
        self.resources = len(exported["deployment"]["resources"])
        self.timed("no-op preview", "preview", "--expect-no-changes")
        self.timed("destroy", "destroy", "--yes", "--skip-preview")


def plain_subject(name: str, program: str, found: Engine, folder: Path) -> Subject:
    """A subject of a program text in a folder of its own."""
    project = folder / name
    project.mkdir()
    (project / "__main__.py").write_text(program)
    options = f"{{virtualenv: {ROOT / '.venv'}}}"
    (project / "Pulumi.yaml").write_text(f"name: {name}\nruntime: {{name: python, options: {options}}}\n")
    (project / "state").mkdir()
    environment = {
        "PULUMI_BACKEND_URL": f"file://{project / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "bench-only",
    }
    arguments = ["--cwd", str(project), "--stack", "bench"]
    found.run(["stack", "init", "bench", "--cwd", str(project)], environment, quiet=True)
    return Subject(name, found, arguments, arguments, environment)


def measure(rounds: int) -> list[Subject]:
    """All subjects after their rounds. Raises UserError where there is no engine."""
    reason, found = why_no_engine(), engine.find()
    if reason or isinstance(found, str):
        raise UserError(f"nothing to measure: {reason or found}")
    with tempfile.TemporaryDirectory() as name, cluster.fake(Path(name)) as local:
        folder, kubeconfig = Path(name), str(local.kubeconfig)
        ours = LocalStack(found, "dev", folder / "ours")
        ours.prepare(local.kubeconfig, "http://127.0.0.1:9/{}".format)
        options = ["--stack", "dev", "--config-file", str(ours.config_file)]
        chart = str(charts.chart("kube-prometheus-stack"))
        subjects = [
            Subject(
                "whole stack dev", found, options, ["--stack", "dev", "--cwd", str(ours.folder)], ours.environment()
            ),
            plain_subject("obvious", OBVIOUS.format(kubeconfig=kubeconfig, chart=chart), found, folder),
            plain_subject("floor", FLOOR.format(kubeconfig=kubeconfig), found, folder),
        ]
        for _ in range(rounds):
            for subject in subjects:
                subject.life()
                # The CRDs of ours outlive destroy; without this the obvious program would fail on them.
                local.kubectl("delete", "crd", "--all", "--wait=true")
        return subjects


def main() -> None:
    """Print the table; write the figures with their conditions where asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine_speed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    subjects = measure(arguments.rounds)
    table = Table("program", "resources", *STEPS, title="seconds, median of the rounds")
    medians = {s.name: {step: statistics.median(s.seconds[step]) for step in STEPS} for s in subjects}
    for subject in subjects:
        values = medians[subject.name]
        table.add_row(subject.name, str(subject.resources), *(f"{values[step]:.1f}" for step in STEPS))
    ratios = {step: medians["obvious"][step] / medians["whole stack dev"][step] for step in STEPS}
    table.add_row("obvious / ours", "", *(f"{ratios[step]:.1f}" for step in STEPS))
    conditions = (
        f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds"
    )
    Console(width=120).print(table, conditions)
    if arguments.out:
        figures = {"conditions": conditions, "seconds": {s.name: s.seconds for s in subjects}, "ratios": ratios}
        arguments.out.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    run(main)
