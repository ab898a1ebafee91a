"""The cases of the LogQL alerts: which log lines make an alert fire, and which do not.

One file a topic under cases/. A key is the name of an alert, its value:

    rule:         what the rule must be: component, team, severity, for, threshold
    stream:       labels of the stream that the lines are pushed to
    fires:        name -> a line that makes the alert fire, or {line, labels} with what differs in the alert's labels
    silent:       name -> a line that must not, or {line, stream} with other labels for it (the line is the first of
                  `fires` where only the stream differs)
    lines:        the fewest lines that fire, by default `threshold + 1`; a rate says for example `threshold * 300 + 1`
    labels, summary, description: the alert as it arrives, in full
    also:         other alerts that the same lines rightly cause
    absent:       true where the alert fires when lines are missing: `fires` goes to a tenant of its own
    always:       true for an alert that always fires

Each line of `fires` becomes two cases: `lines` of it fire, and one line fewer is silent. Each line of `silent` comes as
often as would fire. For each label that the selector of the rule asks for or refuses, one more case has the first line
in a stream that differs there, and is silent.

`${case}` is the name of the case: unique, so that it tells the cases apart when it stands in a label that the alert
keeps. `${n}` in a line is its number, from 1. Texts may use `${threshold}`, `${for}`, each label of the alert such as
`${cluster}`, and `{lines}` or other arithmetic as the cases of tests/rules do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.tuning import human, tunables
from tests.live.logql import stack
from tests.live.logql.logql import refused
from tests.rules.expressions import fill_text, number

FOLDER = Path(__file__).parent / "cases"
LEFT_OUT = {
    ("container", "loki"),
    *(("app", name) for name in ("loki", "event-exporter", "central-logs", "central-events")),
}
"""Streams that no recording may read: Loki logs the text of each query; events, and what sends to a hub, have rules."""
_FACTS = {"component", "team", "severity", "for"}


@dataclass(frozen=True)
class Alert:
    """What a case file says of an alert."""

    name: str
    rule: dict[str, Any]
    summary: str
    description: str
    stream: dict[str, str] = field(default_factory=dict)
    fires: dict[str, str | dict[str, Any]] = field(default_factory=dict)
    silent: dict[str, str | dict[str, Any]] = field(default_factory=dict)
    lines: str = "threshold + 1"
    labels: dict[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    absent: bool = False
    always: bool = False

    @property
    def numbers(self) -> dict[str, float]:
        """The tunable values of the rule, and the fewest lines that fire."""
        values = {name: float(value) for name, value in self.rule.items() if name not in _FACTS}
        return values if self.absent or self.always else {**values, "lines": int(number(self.lines, values))}


@dataclass(frozen=True)
class Case:
    """Lines in one stream, and whether the alert fires."""

    name: str
    alert: Alert
    fires: bool
    stream: dict[str, str]
    log: list[str]
    counted: int = 0
    """How many of the lines the rule must count, be they too few for the alert."""
    labels: dict[str, str] = field(default_factory=dict)
    """What the alert takes from the lines and their stream."""


@cache
def alerts() -> tuple[Alert, ...]:
    """All alerts that have cases. Raises ValueError for an unknown key."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        for name, given in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            unknown = set(given) - set(Alert.__dataclass_fields__)
            if unknown:
                raise ValueError(f"{path.name}: {name}: unknown keys {', '.join(sorted(unknown))}")
            found.append(Alert(name, **{**given, "also": tuple(given.get("also", ()))}))
    return tuple(found)


@cache
def cases() -> tuple[Case, ...]:
    """All cases of all alerts."""
    return tuple(case for alert in alerts() for case in _cases(alert))


def _cases(alert: Alert) -> Iterator[Case]:
    if alert.always:
        yield Case(_id(alert, "always"), alert, True, {}, [])
        return
    lines = 1 if alert.absent else int(alert.numbers["lines"])
    first = _entry(next(iter(alert.fires.values())))
    for name, given in alert.fires.items():
        yield _case(alert, name, _entry(given), lines, fires=True)
        if lines > 1:
            yield _case(alert, f"{name}, one line fewer", _entry(given), lines - 1, fires=False, matches=True)
    for name, given in alert.silent.items():
        yield _case(alert, name, {**first, **_entry(given)}, lines, fires=False)
    if not alert.absent:
        others = set(refused(stack.log_expression(alert.name)))
        for label, value in sorted(others | (LEFT_OUT if stack.recording(alert.name) else set())):
            yield _case(alert, f"{label} {value}", {**first, "stream": {label: value}}, lines, fires=False)


def _entry(given: str | dict[str, Any]) -> dict[str, Any]:
    return given if isinstance(given, dict) else {"line": given}


def _case(alert: Alert, name: str, entry: dict[str, Any], lines: int, *, fires: bool, matches: bool = False) -> Case:
    case = _id(alert, name)
    stream = {key: _fill(value, case) for key, value in {**alert.stream, **entry.get("stream", {})}.items()}
    labels = {key: _fill(value, case) for key, value in {**alert.labels, **entry.get("labels", {})}.items()}
    log = [_fill(entry["line"], case).replace("${n}", str(n)) for n in range(1, lines + 1)]
    return Case(case, alert, fires, stream, log, lines if fires or matches else 0, labels)


def _fill(text: str, case: str) -> str:
    return text.replace("${case}", case)


def _id(alert: Alert, name: str) -> str:
    return f"{alert.name}-{name}".lower().replace(", ", "-").replace(" ", "-")


def expected(case: Case, cluster: str) -> tuple[dict[str, str], dict[str, str]]:
    """Labels, and summary and description, of the alert that a firing case causes."""
    alert = case.alert
    units = {mark.name: mark.unit for mark in tunables(stack.log_alerts()[alert.name]["expr"]).values()}
    static = {key: str(alert.rule[key]) for key in ("component", "team", "severity")}
    labels = {"alertname": alert.name, "cluster": cluster, **static, **case.labels}
    words = {**labels, "case": case.name, "for": str(alert.rule.get("for", "0s"))}
    words |= {name: human(value, units[name]) for name, value in alert.numbers.items() if name != "lines"}
    return labels, {key: fill_text(getattr(alert, key), words, alert.numbers) for key in ("summary", "description")}
