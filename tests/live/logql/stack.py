"""The rules that the live tests run: as a stack ships them, in shorter time.

This is the only place that changes them. Windows, thresholds, filters and the groups that record stay as they ship, so
that a case counts its lines as production does. Only the waiting is cut: groups that alert are evaluated each
`INTERVAL` seconds, and `for` is divided by `FASTER`. That `for` is what the catalogue wants is said in the cases.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components import rule_files
from components.rule_files import RuleFile
from settings import Settings, parse
from settings.alerts import AlertSettings
from settings.base import seconds

ROOT = Path(__file__).resolve().parents[3]
ON_RECORDINGS = "logs"
"""The rule file of Prometheus whose alerts rest on series that Loki's ruler writes."""
INTERVAL = 2
FASTER = 300
"""5m becomes 1s: one evaluation more than the first that sees the fault."""


@cache
def settings(stack: str) -> Settings:
    """Settings of a stack file; what is secret in it is no part of them."""
    content: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    sections = {key.removeprefix("observability:"): value for key, value in content.items()}
    return parse(sections, f"Pulumi.{stack}.yaml", check_secrets=False)


@cache
def sources(evaluator: str) -> tuple[RuleFile, ...]:
    """The rule files of `rules/<evaluator>`, as they are written."""
    return tuple(rule_files.load(ROOT / "rules" / evaluator))


def rendered(evaluator: str, cluster: str) -> list[RuleFile]:
    """The rule files as a stack with every component and no tuning of its own ships them."""
    files = sources(evaluator)
    running = {rule_files.component(group): None for file in files for group in file.groups}
    return rule_files.build(files, AlertSettings(), running, cluster).files


def faster(files: Iterable[RuleFile]) -> list[RuleFile]:
    """The same rules with less waiting."""
    return [RuleFile(file.name, [_faster(group) for group in file.groups]) for file in files]


def _faster(group: dict[str, Any]) -> dict[str, Any]:
    if any("record" in rule for rule in group["rules"]):
        return group
    rules = [
        {**rule, "for": f"{seconds(rule['for']) // FASTER}s"} if "for" in rule else rule for rule in group["rules"]
    ]
    return {**group, "interval": f"{INTERVAL}s", "rules": rules}


def write(files: Iterable[RuleFile], folder: Path) -> list[Path]:
    """Writes each rule file into the folder, as its ConfigMap has it."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in files:
        paths.append(folder / f"{file.name}.yaml")
        paths[-1].write_text(yaml.safe_dump({"groups": file.groups}, sort_keys=False, width=10_000), encoding="utf-8")
    return paths


@cache
def log_alerts() -> dict[str, dict[str, Any]]:
    """Every alert that rests on logs, by name: those of Loki, and those of Prometheus on what Loki recorded."""
    files = [*sources("loki"), *(file for file in sources("prometheus") if file.name == ON_RECORDINGS)]
    return {r["alert"]: {**r, "group": g["name"]} for f in files for g in f.groups for r in g["rules"] if "alert" in r}


@cache
def _loki_rules() -> list[dict[str, Any]]:
    return [rule for file in sources("loki") for group in file.groups for rule in group["rules"]]


@cache
def recording(alert: str) -> str | None:
    """The recorded series that the alert uses; None for an alert of Loki itself."""
    names = [rule["record"] for rule in _loki_rules() if "record" in rule]
    expr = log_alerts().get(alert, {"expr": ""})["expr"]
    return next((name for name in names if name in expr), None)


@cache
def log_expression(alert: str) -> str:
    """The LogQL expression that the alert rests on: its own, or that of its recording; nothing where there is none."""
    key, name = ("record", recording(alert)) if recording(alert) else ("alert", alert)
    return next((str(rule["expr"]) for rule in _loki_rules() if rule.get(key) == name), "")
