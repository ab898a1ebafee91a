"""The alerts of the rule files and the numbers in them that a stack may tune."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.tuning import Tunable, tunables

FOLDER = Path(__file__).parents[2] / "rules"


def groups(evaluator: str = "*") -> list[dict[str, Any]]:
    """All rule groups of `rules/<evaluator>`."""
    files = sorted(FOLDER.glob(f"{evaluator}/*.yaml"))
    return [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]


@cache
def tunes() -> dict[str, dict[str, Tunable]]:
    """Alert name to its tunable numbers by name. An alert without any is there too, with none."""
    found: dict[str, dict[str, Tunable]] = {}
    for group in groups():
        for rule in group["rules"]:
            if "alert" in rule:
                found.setdefault(rule["alert"], {}).update(tunables(rule["expr"]))
    return found


def recording_groups() -> list[dict[str, Any]]:
    """The recording rules for Prometheus, evaluated each second instead of in their own time."""
    return [
        {"name": group["name"], "interval": "1s", "rules": rules}
        for group in groups("prometheus")
        if (rules := [rule for rule in group["rules"] if "record" in rule])
    ]
