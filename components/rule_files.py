"""Rule files: read from rules/, chosen by what the cluster runs, tuned by the stack. Everything here is pure."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import rule_shape
from components.tuning import human, parse_value, tunables, tune
from settings import SettingsError, strict_yaml
from settings.alerts import AlertSettings, AlertTuning

MOST = 10
"""So many mistakes of one file are named."""
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class RuleFile:
    """One file under rules/: its name without ending, and its groups as they are written."""

    name: str
    groups: list[dict[str, Any]]


@dataclass(frozen=True)
class LeftOut:
    """An alert that a stack does not ship, and why."""

    alert: str
    why: str


@dataclass(frozen=True)
class Selection:
    """What a stack ships of the rule files, and what it leaves out."""

    files: list[RuleFile]
    left_out: list[LeftOut]

    def alerts(self) -> list[dict[str, Any]]:
        """Every alert that is shipped."""
        return [rule for file in self.files for rule in _alerts(file)]


class RuleFileError(SettingsError):
    """A rule file cannot be read."""


def load(folder: Path) -> list[RuleFile]:
    """All rule files of a folder, by name.

    Raises RuleFileError where one is not readable YAML, or no rules can be made of it.
    """
    return [_load(path) for path in sorted(folder.glob("*.yaml"))]


def _load(path: Path) -> RuleFile:
    try:
        content = strict_yaml.read(path)
    except strict_yaml.StrictYamlError as error:
        raise RuleFileError(f"{path}: {error}") from None
    found = list(rule_shape.mistakes(content))
    if found:
        raise RuleFileError("\n".join([f"{path}:", *(f"  {mistake}" for mistake in found[:MOST])]))
    return RuleFile(path.stem, content["groups"])


def component(group: Mapping[str, Any]) -> str:
    """The component that a group belongs to: its name up to the first dot."""
    return str(group["name"]).split(".")[0]


def part(group: Mapping[str, Any]) -> str:
    """What stands behind the first dot of a group's name: the exporter that it needs, or a word for people."""
    return str(group["name"]).partition(".")[2]


def build(
    files: Iterable[RuleFile],
    alerts: AlertSettings,
    running: Mapping[str, str | None],
    cluster: str,
    jobs: Mapping[str, str] | None = None,
) -> Selection:
    """The rule files as a stack ships them.

    `running` gives for each component and each exporter None where it runs, else the reason why not. `jobs` gives the
    job of exporters that are not ours: rules of groups that need one are given that job. Raises RuleFileError for a
    group of an unknown component or a text with an unknown placeholder.
    """
    shipped: list[RuleFile] = []
    left_out: list[LeftOut] = []
    for file in files:
        groups = []
        for group in file.groups:
            if component(group) not in running:
                raise RuleFileError(f"rules: group {group['name']} of {file.name}.yaml belongs to no known component")
            why = running[component(group)] or running.get(part(group))
            if why is not None:
                left_out += [LeftOut(rule["alert"], why) for rule in group["rules"] if "alert" in rule]
                continue
            rules = []
            for rule in group["rules"]:
                tuning = alerts.tune.get(rule.get("alert", ""), AlertTuning())
                if tuning.disabled:
                    left_out.append(
                        LeftOut(rule["alert"], f"disabled until {tuning.disabled.until}: {tuning.disabled.reason}")
                    )
                else:
                    rules.append(_rule(_read_from(rule, part(group), jobs), tuning, cluster, alerts.runbooks_url))
            if rules:
                groups.append({**group, "rules": rules})
        if groups:
            shipped.append(RuleFile(file.name, groups))
    return Selection(shipped, left_out)


def check_tuning(files: Iterable[RuleFile], alerts: AlertSettings) -> None:
    """Raises SettingsError for every tuned alert or value that no rule file has, or whose unit is wrong."""
    known: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        for rule in _alerts(file):
            known.setdefault(rule["alert"], []).append(rule)
    mistakes = []
    for name, tuning in alerts.tune.items():
        where = f"observability:alerts.tune.{name}"
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            mistakes.append(f"{where}: no alert has this name" + (f"; did you mean {close[0]}?" if close else ""))
            continue
        marks = {mark.name: mark for rule in known[name] for mark in tunables(rule["expr"]).values()}
        for key, value in tuning.values.items():
            if key not in marks:
                has = f"it has {', '.join(marks)}" if marks else "it has none"
                mistakes.append(f"{where}.{key}: the alert has no value of this name; {has}")
                continue
            try:
                parse_value(value, marks[key].unit)
            except ValueError as error:
                mistakes.append(f"{where}.{key}: {error}")
    if mistakes:
        raise SettingsError("\n".join(["The stack file has mistakes:", *(f"  {mistake}" for mistake in mistakes)]))


def _alerts(file: RuleFile) -> Iterator[dict[str, Any]]:
    return (rule for group in file.groups for rule in group["rules"] if "alert" in rule)


def _read_from(rule: dict[str, Any], exporter: str, jobs: Mapping[str, str] | None) -> dict[str, Any]:
    job = (jobs or {}).get(exporter)
    return {**rule, "expr": rule["expr"].replace(f'job="{exporter}"', f'job="{job}"')} if job else rule


def _rule(rule: dict[str, Any], tuning: AlertTuning, cluster: str, runbooks_url: str) -> dict[str, Any]:
    rule = deepcopy(rule)
    if "alert" not in rule:
        return rule
    marks = tunables(rule["expr"])
    values = {key: parse_value(value, marks[key].unit) for key, value in tuning.values.items() if key in marks}
    rule["expr"] = tune(rule["expr"], values)
    if tuning.for_:
        rule["for"] = tuning.for_
    severity = {"severity": tuning.severity} if tuning.severity else {}
    rule["labels"] = {"cluster": cluster, **rule["labels"], **severity, **tuning.labels}
    words = {
        "cluster": cluster,
        "for": rule.get("for", "0s"),
        **{mark.name: human(values.get(mark.name, mark.value), mark.unit) for mark in marks.values()},
    }
    texts = {key: _fill(text, words, rule["alert"]) for key, text in rule["annotations"].items()}
    rule["annotations"] = {**texts, "runbook_url": f"{runbooks_url}/{rule['alert']}.md"}
    return rule


def _fill(text: str, words: Mapping[str, str], alert: str) -> str:
    unknown = sorted(set(_PLACEHOLDER.findall(text)) - set(words))
    if unknown:
        raise RuleFileError(f"rules: {alert} has the placeholder ${{{unknown[0]}}}; known are {', '.join(words)}")
    return _PLACEHOLDER.sub(lambda match: words[match[1]], text)
