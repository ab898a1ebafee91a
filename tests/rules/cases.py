"""The cases of tests/rules/cases: what each alert says about which series, written short.

One file for each rule file, of the same name. A key is the name of an alert (`Name@group` where a file has the name
twice), its value one case or a list of them:

    rule:    what the rule must be: component, team, severity, for, and its tunable values with their defaults
    from:    when the series first show the fault (0s where it is there from the start)
    around:  names for numbers: [at fault, healthy]; the healthy ones make a case in which nothing fires
    series:  name -> `metric{labels} values`. Values are a number, `rate(per second)` for a counter, or what promtool
             reads. `{...}` is arithmetic over the tuned values of the stack and the names under `around`.
    fires:   labels, summary and description of the alert, in full; a list where there are several
    silent:  name -> changes of `series` (a new value, a whole series, or null to remove it) under which nothing fires
    fires_too: the same, under which the same alert fires
    decoys:  false, or what may differ without silencing the alert: `series`, `series.label`, `*.label` (decoys.py)
    needs:   `series.label` of labels that the alert carries and the rule matches all the same

The file's key `targets` gives the labels of a target to every metric that starts with a prefix; `free` adds to the
`decoys` of each of its cases.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "cases"
_KEYS = {
    "rule",
    "from",
    "around",
    "series",
    "fires",
    "silent",
    "fires_too",
    "decoys",
    "needs",
    "name",
    "interval",
    "until",
}


@dataclass(frozen=True)
class Case:
    """One case of an alert, as its file says it."""

    alert: str
    group: str | None
    title: str
    rule: dict[str, Any]
    series: dict[str, str]
    fires: list[dict[str, Any]]
    start: str = "0s"
    around: dict[str, list[str]] = field(default_factory=dict)
    silent: dict[str, dict[str, Any]] = field(default_factory=dict)
    fires_too: dict[str, dict[str, Any]] = field(default_factory=dict)
    decoys: bool = True
    free: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    targets: dict[str, str] = field(default_factory=dict)


@cache
def load(topic: str) -> tuple[Case, ...]:
    """The cases for the rule file of this name; ValueError where one cannot be read."""
    text = (FOLDER / f"{topic}.yaml").read_text(encoding="utf-8")
    content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    targets, free = content.pop("targets", {}), content.pop("free", [])
    return tuple(
        _case(key, given, position, targets, free)
        for key, entry in content.items()
        for position, given in enumerate(entry if isinstance(entry, list) else [entry])
    )


def topics() -> list[str]:
    """Names of all case files."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def _case(key: str, given: dict[str, Any], position: int, targets: dict[str, str], free: list[str]) -> Case:
    unknown = set(given) - _KEYS
    if unknown:
        raise ValueError(f"{key}: unknown keys {', '.join(sorted(unknown))}")
    alert, _, group = key.partition("@")
    fires = given["fires"]
    decoys = given.get("decoys", [])
    return Case(
        alert=alert,
        group=group or None,
        title=given.get("name", f"case {position + 1}"),
        rule=given["rule"],
        series={name: str(line) for name, line in given.get("series", {}).items()},
        fires=fires if isinstance(fires, list) else [fires],
        start=given.get("from", "0s"),
        around={name: [str(value) for value in pair] for name, pair in given.get("around", {}).items()},
        silent=given.get("silent", {}),
        fires_too=given.get("fires_too", {}),
        decoys=decoys is not False,
        free=frozenset([*free, *(decoys or ())]),
        needs=frozenset(given.get("needs", [])),
        targets=targets,
    )
