"""The shape of a rule file, before anything is made of it: what is wrong, and where."""

from collections.abc import Iterator
from typing import Any

TEXTS = ("alert", "record", "expr", "for", "keep_firing_for")
MAPS = ("labels", "annotations")
ONLY_ALERTS = ("for", "keep_firing_for", "annotations")


def mistakes(content: Any) -> Iterator[str]:
    """Everything in a rule file that no rule can be made of, in words."""
    groups = content.get("groups") if isinstance(content, dict) else None
    if not isinstance(groups, list) or not groups:
        yield "needs `groups:` with a name and rules each, as Prometheus reads them"
        return
    for number, group in enumerate(groups, 1):
        if not isinstance(group, dict) or not _text(group.get("name")):
            yield f"group {number} needs a name and rules, as Prometheus reads them"
        elif not isinstance(group.get("rules"), list) or not group["rules"]:
            yield f"group {group['name']} needs a list of rules"
        else:
            for at, rule in enumerate(group["rules"], 1):
                yield from (f"group {group['name']}, rule {at}: {what}" for what in _rule(rule))


def _rule(rule: Any) -> Iterator[str]:
    if not isinstance(rule, dict):
        yield "is no mapping"
        return
    if ("alert" in rule) == ("record" in rule):
        yield "needs one of alert and record"
    if "expr" not in rule:
        yield "has no expr"
    for key in TEXTS:
        if key in rule and not _text(rule[key]):
            yield f"{key} is no text; put it in quotes"
    for key in MAPS:
        values = rule.get(key, {})
        if not isinstance(values, dict) or not all(_text(item) for pair in values.items() for item in pair):
            yield f"{key} is no mapping of texts; put values in quotes"
    if "alert" in rule:
        for key in MAPS:
            if key not in rule:
                yield f"has no {key}"
    elif wrong := [key for key in ONLY_ALERTS if key in rule]:
        yield f"records, so it has no {', '.join(wrong)}"


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""
