"""Which changes of alerts no case covers."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from components.tuning import tune
from tools.diff.alerts import marks, rules
from tools.diff.change import UNPROVEN, Change

FOLDERS = {"promql": "tests/rules/cases", "logql": "tests/live/logql/cases"}
WITHOUT = {"rule", "summary", "description"}
"""Parts of a case that repeat the rule or its texts, and put nothing to the proof."""


def cases(tree: Path) -> dict[str, Any]:
    """What the case files of a source tree say of each alert, by its name; both languages."""
    found: dict[str, Any] = {}
    for language, folder in FOLDERS.items():
        for file in sorted((tree / folder).glob("*.yaml")):
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            for key, entry in content.items() if isinstance(content, dict) else ():
                if isinstance(key, str) and key[:1].isupper():
                    entries = entry if isinstance(entry, list) else [entry]
                    found.setdefault(key.partition("@")[0], []).extend({language: one} for one in entries)
    return found


def unproven(
    before: Iterable[Mapping[str, Any]],
    now: Iterable[Mapping[str, Any]],
    cases_before: Mapping[str, Any],
    cases_now: Mapping[str, Any],
) -> Iterator[Change]:
    """Alerts that were added or changed without a case, or whose case does not show the change."""
    old, new = rules(before, "alert"), rules(now, "alert")
    for name in sorted(new):
        gone = [rule for rule in old.get(name, []) if rule not in new[name]]
        come = [rule for rule in new[name] if rule not in old.get(name, [])]
        why = {"it has no case"} if come and name not in cases_now else set()
        if name in cases_now:
            same = cases_before.get(name) == cases_now[name]
            pairs = [(one, other) for one, other in itertools.zip_longest(gone, come) if one and other]
            why |= {reason for one, other in pairs for reason in _reasons(one, other, cases_now[name], same)}
        for reason in sorted(why):
            yield Change("unproven", "changed", name, reason, UNPROVEN, True)


def _reasons(before: Mapping[str, Any], now: Mapping[str, Any], entries: list[Any], same: bool) -> Iterator[str]:
    old, new = marks(before["expr"]), marks(now["expr"])
    both = [name for name in old if name in new]
    for name in both:
        if old[name].value != new[name].value and not any(moves_with(entry, name) for entry in entries):
            yield f"its cases are the same at every {name}"
    values = {name: new[name].value for name in both}
    if tune(before["expr"], values) != tune(now["expr"], values) and same:
        yield "its expression changed and its cases did not"


def moves_with(entry: Mapping[str, Any], value: str) -> bool:
    """Whether a case puts another value of this name to the proof: it is arithmetic over it."""
    [(language, case)] = entry.items()
    if language == "logql" and value == "threshold":
        # One line more than the threshold fires, unless the case says something else.
        return not case.get("absent") and not case.get("always")
    text = yaml.safe_dump({key: part for key, part in case.items() if key not in WITHOUT})
    # `${threshold}` in a text is what the message says, not what the series do.
    return re.search(rf"\b{value}\b", re.sub(r"\$\{\w+\}", "", text)) is not None
