"""Rule files: read from rules/, chosen by what the cluster runs, tuned by the stack. Everything here is pure."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.tuning import human, parse_value, tunables, tune
from settings import SettingsError
from settings.alerts import AlertSettings, AlertTuning

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


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice: YAML would keep the last one silently."""


def _unique(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = next((str(key) for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} stands twice", node.start_mark)
    return dict(loader.construct_mapping(node, deep=True))


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique)


def load(folder: Path) -> list[RuleFile]:
    """All rule files of a folder, by name.

    Raises RuleFileError where one is not readable YAML with a list of groups.
    """
    return [_load(path) for path in sorted(folder.glob("*.yaml"))]


def _load(path: Path) -> RuleFile:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise RuleFileError(f"{path}: is not readable as YAML: {error}") from None
    groups = content.get("groups") if isinstance(content, dict) else None
    if not isinstance(groups, list) or not all(
        isinstance(g, dict) and g.get("name") and g.get("rules") for g in groups
    ):
        raise RuleFileError(f"{path}: needs `groups:` with a name and rules each, as Prometheus reads them")
    return RuleFile(path.stem, groups)


def component(group: Mapping[str, Any]) -> str:
    """The component that a group belongs to: its name up to the first dot."""
    return str(group["name"]).split(".")[0]


def build(
    files: Iterable[RuleFile], alerts: AlertSettings, running: Mapping[str, str | None], cluster: str
) -> Selection:
    """The rule files as a stack ships them.

    `running` gives for each component None where it runs, else the reason why not. Raises RuleFileError for a
    group of an unknown component or a text with an unknown placeholder.
    """
    shipped: list[RuleFile] = []
    left_out: list[LeftOut] = []
    for file in files:
        groups = []
        for group in file.groups:
            if component(group) not in running:
                raise RuleFileError(f"rules: group {group['name']} of {file.name}.yaml belongs to no known component")
            why = running[component(group)]
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
                    rules.append(_rule(rule, tuning, cluster, alerts.runbooks_url))
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
