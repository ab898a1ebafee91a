"""What is put under the clock: programs under the real engine, and the same chart by helm and kubectl."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import yaml

from settings.reader import PROJECT
from tools import binaries, charts
from tools.cluster import Cluster
from tools.console import UserError
from tools.engine import Engine, LocalStack
from tools.synth import ROOT, stack_config

STEPS = ("first preview", "up", "no-op preview", "one change", "destroy")
TUNED = {"CoreDNSErrorsHigh": {"threshold": "5%"}}
"""An alert whose limit no dashboard draws: two objects change."""
NOBODY = "http://127.0.0.1:9/{}"
OBVIOUS = """
import os
import pulumi, pulumi_kubernetes as k8s
provider = k8s.Provider("cluster", kubeconfig={kubeconfig!r})
opts = pulumi.ResourceOptions(provider=provider)
namespace = k8s.core.v1.Namespace("obvious", metadata={{"name": "obvious"}}, opts=opts)
rule = {{"alert": "Hot", "expr": "cpu > " + os.environ["BENCH_THRESHOLD"]}}
values = {{"prometheusOperator": {{"admissionWebhooks": {{"enabled": False}}, "tls": {{"enabled": False}}}},
          "grafana": {{"adminPassword": "bench-only"}},
          "additionalPrometheusRulesMap": {{"own": {{"groups": [{{"name": "own", "rules": [rule]}}]}}}}}}
k8s.helm.v4.Chart("kps", chart={chart!r}, namespace="obvious", values=values,
                  opts=pulumi.ResourceOptions(provider=provider, depends_on=[namespace]))
"""
FLOOR = """
import os
import pulumi, pulumi_kubernetes as k8s
provider = k8s.Provider("cluster", kubeconfig={kubeconfig!r})
for index in range(5):
    k8s.core.v1.ConfigMap(f"floor-{{index}}", metadata={{"name": f"floor-{{index}}", "namespace": "default"}},
                          data={{"a": os.environ["BENCH_THRESHOLD"]}}, opts=pulumi.ResourceOptions(provider=provider))
"""


@dataclass
class Times:
    """Seconds of each step by round, and after `up` how many resources there were, and how large the state was.

    `spins` are the seconds of one fixed loop before each round: how fast the machine was then.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    spins: list[float] = field(default_factory=list)
    resources: int = 0
    state_bytes: int = 0

    def timed(self, step: str, run: Callable[[], object]) -> None:
        """Run one step and write its time down."""
        started = time.monotonic()
        run()
        self.seconds.setdefault(step, []).append(time.monotonic() - started)


class Subject(Protocol):
    """Something that has the five steps of a life."""

    times: Times

    def life(self) -> None:
        """Run all steps once. Raises UserError where one fails."""


@dataclass
class Ours:
    """A stack of this project."""

    stack: LocalStack
    local: Cluster
    times: Times = field(default_factory=Times)

    def life(self) -> None:
        """All five steps, timed."""
        self.stack.prepare(self.local.kubeconfig, NOBODY.format)
        self.times.timed("first preview", lambda: self._run("preview"))
        self.times.timed("up", lambda: self._run("up", "--yes", "--skip-preview"))
        exported = json.loads(self._run("stack", "export"))
        self.times.resources = len(exported["deployment"]["resources"])
        self.times.timed("no-op preview", lambda: self._run("preview", "--expect-no-changes"))
        self.stack.prepare(self.local.kubeconfig, NOBODY.format, self._tuned())
        self.times.timed("one change", lambda: self._run("up", "--yes", "--skip-preview"))
        self.times.timed("destroy", lambda: self._run("destroy", "--yes", "--skip-preview"))

    def _tuned(self) -> Path:
        file = ROOT / f"Pulumi.{self.stack.stack}.yaml"
        config = stack_config(file)
        alerts = dict(config.get(f"{PROJECT}:alerts", {}))
        alerts["tune"] = {**alerts.get("tune", {}), **TUNED}
        tuned = self.stack.folder / "tuned" / file.name
        tuned.parent.mkdir(exist_ok=True)
        tuned.write_text(yaml.safe_dump({"config": {**config, f"{PROJECT}:alerts": alerts}}, sort_keys=False))
        return tuned

    def _run(self, *arguments: str) -> str:
        return self.stack.run(*arguments, quiet=True)


@dataclass
class Plain:
    """A program text in a folder of its own, under the same engine."""

    name: str
    program: str
    engine: Engine
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further environment, for instance that of another backend than the folder."""
    times: Times = field(default_factory=Times)

    def life(self) -> None:
        """All five steps, timed."""
        self.prepare()
        self.times.timed("first preview", lambda: self._run("preview"))
        self.times.timed("up", lambda: self._run("up", "--yes", "--skip-preview"))
        exported = self._run("stack", "export")
        self.times.resources = len(json.loads(exported)["deployment"]["resources"])
        self.times.state_bytes = len(exported.encode())
        self.times.timed("no-op preview", lambda: self._run("preview", "--expect-no-changes"))
        self.times.timed("one change", lambda: self._run("up", "--yes", "--skip-preview", threshold="85"))
        self.times.timed("destroy", lambda: self._run("destroy", "--yes", "--skip-preview"))

    def prepare(self) -> None:
        """Write the project and make its stack, unless they are there."""
        if (self.folder / "state").exists():
            return
        (self.folder / "state").mkdir(parents=True)
        (self.folder / "__main__.py").write_text(self.program)
        options = f"{{virtualenv: {ROOT / '.venv'}}}"
        (self.folder / "Pulumi.yaml").write_text(f"name: {self.name}\nruntime: {{name: python, options: {options}}}\n")
        self._run("stack", "init", "--secrets-provider", "passphrase")

    def _run(self, *command: str, threshold: str = "80") -> str:
        environment: Mapping[str, str] = {
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "bench-only",
            "PYTHONPATH": str(ROOT),
            "BENCH_THRESHOLD": threshold,
            **self.environment,
        }
        return self.engine.run([*command, "--cwd", str(self.folder), "--stack", "bench"], environment, quiet=True)


@dataclass
class Helm:
    """kube-prometheus-stack by `helm install --wait`, and what changes by `helm template` and `kubectl diff`."""

    local: Cluster
    folder: Path
    times: Times = field(default_factory=Times)

    def life(self) -> None:
        """All five steps, timed."""
        self.folder.mkdir(exist_ok=True)
        self.local.kubectl("create", "namespace", "helm")
        self.times.timed("first preview", lambda: self._diff(first=True))
        self.times.timed("up", lambda: self._helm("install", "80", "--wait"))
        listed = self.local.kubectl("get", "all,configmaps,secrets,prometheusrules,servicemonitors", "-nhelm", "-oname")
        self.times.resources = len(listed.split())
        self.times.timed("no-op preview", lambda: self._diff(first=False))
        self.times.timed("one change", lambda: self._helm("upgrade", "85", "--wait"))
        command = ["uninstall", "kps", "--namespace=helm", "--wait"]
        self.times.timed("destroy", lambda: self._call([str(binaries.find("helm")), *command]))

    def _values(self, threshold: str) -> Path:
        rule = {"alert": "Hot", "expr": f"cpu > {threshold}"}
        file = self.folder / "values.yaml"
        values = {
            "prometheusOperator": {"admissionWebhooks": {"enabled": False}, "tls": {"enabled": False}},
            "grafana": {"adminPassword": "bench-only"},
            "additionalPrometheusRulesMap": {"own": {"groups": [{"name": "own", "rules": [rule]}]}},
        }
        file.write_text(yaml.safe_dump(values))
        return file

    def _helm(self, verb: str, threshold: str, *more: str) -> str:
        chart = str(charts.chart("kube-prometheus-stack"))
        program, values = str(binaries.find("helm")), self._values(threshold)
        return self._call([program, verb, "kps", chart, "--namespace=helm", f"--values={values}", *more])

    def _diff(self, *, first: bool) -> None:
        manifest = self.folder / "manifest.yaml"
        manifest.write_text(self._helm("template", "80", "--include-crds", "--no-hooks", "--skip-tests"))
        program = [str(binaries.find("kubectl")), f"--kubeconfig={self.local.kubeconfig}"]
        # 1 says that there are differences. Before the CRDs are there, their kinds are an error, at the same cost.
        command = [*program, "diff", "--server-side", "--force-conflicts", f"--filename={manifest}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not first and done.returncode > 1:
            raise UserError(f"kubectl diff failed: {done.stderr[-500:]}")

    def _call(self, command: list[str]) -> str:
        environment = {"KUBECONFIG": str(self.local.kubeconfig), "HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise UserError(f"{' '.join(command[:3])} failed: {done.stderr[-500:]}")
        return done.stdout
