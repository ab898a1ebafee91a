"""The stacks whose rules are tested: every stack file of the project, and one that ships every rule untuned."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components import rule_files, running
from components.rule_files import RuleFile
from settings import parse
from settings.alerts import AlertSettings

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "rules" / "prometheus"
EVERYTHING = "everything"


@dataclass(frozen=True)
class Stack:
    """A stack: its name, the name of its cluster, its tuning and what it runs."""

    name: str
    cluster: str
    alerts: AlertSettings
    running: Mapping[str, str | None]


@cache
def sources() -> tuple[RuleFile, ...]:
    """The rule files as they are written."""
    return tuple(rule_files.load(RULES))


@cache
def stacks() -> tuple[Stack, ...]:
    """All stacks, the one with every rule first."""
    components = {rule_files.component(group) for file in sources() for group in file.groups}
    everything = Stack(EVERYTHING, EVERYTHING, AlertSettings(), dict.fromkeys(components))
    return (everything, *(_stack(path) for path in sorted(ROOT.glob("Pulumi.*.yaml"))))


def _stack(path: Path) -> Stack:
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    sections = {key.removeprefix("observability:"): value for key, value in config.items()}
    # Secrets are no part of the rules, and a fresh clone does not have them.
    parsed = parse(sections, path.name, check_secrets=False)
    return Stack(path.name.split(".")[1], parsed.cluster.name, parsed.alerts, running.running(parsed))


def rendered(stack: Stack, files: tuple[RuleFile, ...] | None = None) -> list[RuleFile]:
    """The rule files as a stack ships them."""
    return rule_files.build(files or sources(), stack.alerts, stack.running, stack.cluster).files
