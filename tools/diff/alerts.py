"""What changes for alerts: the rules themselves, and who is told."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from components.tuning import human, tunables, tune
from tools.diff.change import LOST_ALERT, Change, arrow
from tools.routes import told

NAMED = 8
"""Alerts that are named where many go elsewhere together."""
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")


def rules(objects: Iterable[Mapping[str, Any]], kind: str) -> dict[str, list[dict[str, Any]]]:
    """Rules by name; `kind` is alert or record. Those of Prometheus and of Loki's ruler alike."""
    found: dict[str, list[dict[str, Any]]] = {}
    for item in objects:
        groups = list(_groups(item))
        for rule in (rule for group in groups for rule in group["rules"] if kind in rule):
            found.setdefault(rule[kind], []).append(rule)
    return found


def _groups(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if item["kind"] == "PrometheusRule":
        yield from item["spec"]["groups"]
    elif item["kind"] == "ConfigMap" and item["metadata"].get("labels", {}).get("observability/rules") == "loki":
        for text in item["data"].values():
            yield from yaml.safe_load(text)["groups"]


def rule_changes(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> Iterator[Change]:
    """Alerts and recordings that were added, removed or changed."""
    for kind, topic in (("alert", "alerts"), ("record", "recordings")):
        old, new = rules(before, kind), rules(now, kind)
        for name in sorted({*old, *new}):
            mine, theirs = old.get(name, []), new.get(name, [])
            gone = [rule for rule in mine if rule not in theirs]
            come = [rule for rule in theirs if rule not in mine]
            for one, other in itertools.zip_longest(gone, come):
                yield _rule_change(topic, name, one, other)


def _rule_change(topic: str, name: str, before: dict[str, Any] | None, now: dict[str, Any] | None) -> Change:
    alert = topic == "alerts"
    if before is None:
        return Change(topic, "added", name, _severity(now or {}) if alert else "")
    if now is None:
        gate = LOST_ALERT if alert else ""
        return Change(topic, "removed", name, _severity(before) if alert else "", gate, alert)
    return Change(topic, "changed", name, "; ".join(_differences(before, now)))


def _severity(rule: Mapping[str, Any]) -> str:
    return f"{rule.get('labels', {}).get('severity', 'no severity')}, for {rule.get('for', '0s')}"


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found = list(_expression(before["expr"], now["expr"]))
    found += [
        f"{key} {arrow(before.get(key), now.get(key))}"
        for key in ("for", "keep_firing_for")
        if _differ(before, now, key)
    ]
    old, new = before.get("labels", {}), now.get("labels", {})
    found += [
        f"{key} {arrow(old.get(key), new.get(key))}" for key in dict.fromkeys([*old, *new]) if _differ(old, new, key)
    ]
    # A text that names its threshold changes with it: not worth a word of its own.
    old, new = before.get("annotations", {}), now.get("annotations", {})
    texts = [key for key in dict.fromkeys([*old, *new]) if _differ(old, new, key)]
    return found or [f"text of {', '.join(texts)}" if texts else "written differently"]


def _differ(before: Mapping[str, Any], now: Mapping[str, Any], key: str) -> bool:
    return before.get(key) != now.get(key)


def _expression(before: str, now: str) -> Iterator[str]:
    if before == now:
        return
    old, new = marks(before), marks(now)
    both = [name for name in old if name in new and old[name].unit == new[name].unit]
    for name in both:
        if old[name].value != new[name].value:
            yield f"{name} {arrow(human(old[name].value, old[name].unit), human(new[name].value, new[name].unit))}"
    before = tune(before, {name: new[name].value for name in both})
    now = tune(now, {name: new[name].value for name in both})
    if before == now:
        return
    numbers = list(zip(_NUMBER.findall(before), _NUMBER.findall(now), strict=False))
    if _NUMBER.sub("#", before) == _NUMBER.sub("#", now):
        yield from (f"number {arrow(one, other)}" for one, other in numbers if one != other)
    else:
        yield "expression"


def marks(expr: str) -> Mapping[str, Any]:
    """Tunable numbers of an expression by name; none where a mark cannot be read."""
    try:
        return tunables(expr)
    except ValueError:
        return {}


def alertmanager(objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Alertmanager's configuration among the objects; empty where there is none. Secrets in it are placeholders."""
    for item in objects:
        text = item.get("stringData", {}).get("alertmanager.yaml") if item["kind"] == "Secret" else None
        if text:
            content: dict[str, Any] = yaml.safe_load(text)
            return content
    return {}


def route_changes(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> Iterator[Change]:
    """Receivers, routes, quiet times and inhibitions that differ, and every alert that goes elsewhere."""
    old, new = alertmanager(before), alertmanager(now)
    if old and new:
        yield from _destinations(before, now, old["route"], new["route"])
    for key, word in (("receivers", "receiver"), ("time_intervals", "time interval")):
        yield from _named(old.get(key, []), new.get(key, []), word)
    lines = [list(_lines(side.get("route", {}))) for side in (old, new)]
    yield from (Change("routes", "removed", f"route {line}") for line in lines[0] if line not in lines[1])
    yield from (Change("routes", "added", f"route {line}") for line in lines[1] if line not in lines[0])
    gone, come = (side.get("inhibit_rules", []) for side in (old, new))
    for verb, rest in (("removed", [r for r in gone if r not in come]), ("added", [r for r in come if r not in gone])):
        yield from (Change("routes", verb, "inhibition", _inhibition(rule)) for rule in rest)


def _inhibition(rule: Mapping[str, Any]) -> str:
    return f"{' '.join(rule.get('source_matchers', []))} hides {' '.join(rule.get('target_matchers', []))}"


def _destinations(
    before: list[dict[str, Any]], now: list[dict[str, Any]], old: dict[str, Any], new: dict[str, Any]
) -> Iterator[Change]:
    mine, theirs = rules(before, "alert"), rules(now, "alert")
    moved: dict[str, list[str]] = {}
    for name in sorted({*mine} & {*theirs}):
        sides = [
            sorted({", ".join(told(route, {"alertname": name, **rule.get("labels", {})})) for rule in found[name]})
            for route, found in ((old, mine), (new, theirs))
        ]
        if sides[0] != sides[1]:
            moved.setdefault(arrow(" or ".join(sides[0]), " or ".join(sides[1])), []).append(name)
    for where, names in moved.items():
        what = names[0] if len(names) == 1 else f"{len(names)} alerts"
        rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        which = f": {', '.join(names[:NAMED])}{rest}" if len(names) > 1 else ""
        yield Change("routes", "changed", what, f"{'goes' if len(names) == 1 else 'go'} to {where}{which}")


def _named(before: list[dict[str, Any]], now: list[dict[str, Any]], word: str) -> Iterator[Change]:
    old, new = ({item["name"]: item for item in side} for side in (before, now))
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            verb = "added" if name not in old else "removed" if name not in new else "changed"
            yield Change("routes", verb, f"{word} {name}")


def _lines(route: Mapping[str, Any], above: str = "") -> Iterator[str]:
    if route:
        here = " and ".join(filter(None, [above, *route.get("matchers", [])]))
        timing = [f"{key} {route[key]}" for key in ("group_wait", "group_interval", "repeat_interval") if key in route]
        muted = [f"not during {', '.join(route['mute_time_intervals'])}"] if route.get("mute_time_intervals") else []
        yield ", ".join([f"{here or 'everything'} -> {route.get('receiver', 'as above')}", *timing, *muted])
        for child in route.get("routes", []):
            yield from _lines(child, here)
