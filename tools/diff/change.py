"""One line of a change summary, and how fields of objects are compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

TOPICS = ("alerts", "unproven", "recordings", "routes", "dashboards", "images", "charts", "requests", "objects")
"""Sections of a summary, in the order in which a person wants to read them."""
LOST_ALERT = "lost-alert"
LOST_VOLUME = "lost-volume"
UNPROVEN = "unproven"
GATES = {
    LOST_ALERT: "an alert that shipped before ships no more",
    LOST_VOLUME: "an object that holds data is deleted or replaced",
    UNPROVEN: "an alert is new, changed or tuned, and no case covers that",
}


@dataclass(frozen=True)
class Change:
    """One thing that differs: `verb` is added, removed, changed or replaced. `gate` names what a gate may refuse."""

    topic: str
    verb: str
    what: str
    detail: str = ""
    gate: str = ""
    loud: bool = False
    """Written in bold."""


def arrow(before: object, now: object) -> str:
    """`before -> now`, each cut to what a table cell holds."""
    return f"{_short(before)} -> {_short(now)}"


def _short(value: object) -> str:
    text = "nothing" if value is None or value == "" else " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of nested mappings and lists with its dotted path; list items go by their `name`, else by number."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        names = [_name(item) for item in value]
        for position, (item, name) in enumerate(zip(value, names, strict=True)):
            # By number where two share a name: one of them must not hide the other.
            yield from leaves(item, f"{path}[{position if name is None or names.count(name) > 1 else name}]")
    else:
        yield path, value


def _name(item: Any) -> str | None:
    keys = ("name", "alert", "record") if isinstance(item, Mapping) else ()
    return next((item[key] for key in keys if isinstance(item.get(key), str)), None)


def differing(before: Any, now: Any) -> dict[str, tuple[Any, Any]]:
    """Leaves that differ, by path: the value before and now, None where there is none."""
    old, new = dict(leaves(before)), dict(leaves(now))
    return {
        path: (old.get(path), new.get(path))
        # In an order of its own: that of the engine's objects differs from run to run.
        for path in sorted({*old, *new})
        if path not in old or path not in new or old[path] != new[path]
    }
