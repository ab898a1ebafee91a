"""Compares both sides of a change, stack by stack."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.diff.alerts import route_changes, rule_changes
from tools.diff.change import TOPICS, Change
from tools.diff.dashboards import dashboard_changes
from tools.diff.objects import chart_changes, image_changes, object_changes, request_changes
from tools.diff.proof import unproven

NOTHING: dict[str, Any] = {"objects": [], "charts": {}}


@dataclass(frozen=True)
class Cluster:
    """What changes on one cluster."""

    stack: str
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What the summary cannot know, in words."""
    error: str = ""
    """Why the stack cannot be rendered now."""
    new: bool = False
    """There was no such stack before: everything of it is added, and not worth a list."""


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Cluster]:
    """What changes on each cluster, by its stack's name; the sides are those of `collect.py`."""
    return [_cluster(stack, before.get(stack), now.get(stack)) for stack in sorted({*before, *now})]


def _cluster(stack: str, before: dict[str, Any] | None, now: dict[str, Any] | None) -> Cluster:
    if now and "error" in now:
        return Cluster(stack, error=now["error"])
    notes = []
    if before is None:
        notes.append("This cluster is new: make rules and make render list what it gets.")
    if now is None:
        notes.append("The stack file of this cluster is gone; its cluster keeps what runs there until it is destroyed.")
    if before and "error" in before:
        notes.append(f"It could not be rendered before, so everything counts as new: {before['error']}")
        before = None
    old, new = before or NOTHING, now or NOTHING
    missing = sorted(
        name
        for name in {*old["charts"], *new["charts"]}
        if any(_rendered(side, name) is None for side in (old, new) if name in side["charts"])
    )
    old_objects, new_objects = (
        [*side["objects"], *(item for name in side["charts"] if name not in missing for item in _rendered(side, name))]
        for side in (old, new)
    )
    notes += [
        f"The chart {name} is not rendered: of its objects, images and requests only the chart's values are compared."
        for name in missing
        if name != "prometheus-operator-crds"
    ]
    found = [*_changes(old_objects, new_objects, old["charts"], new["charts"])]
    if "cases" in new:
        found += unproven(old_objects, new_objects, old.get("cases", {}), new["cases"])
    changes = sorted(found, key=lambda change: TOPICS.index(change.topic))
    return Cluster(stack, tuple(changes), tuple(notes), new=before is None)


def _rendered(side: Mapping[str, Any], name: str) -> Any:
    return side["charts"][name]["objects"] if name in side["charts"] else []


def _changes(
    before: list[dict[str, Any]], now: list[dict[str, Any]], charts_before: Any, charts_now: Any
) -> Iterator[Change]:
    yield from rule_changes(before, now)
    yield from route_changes(before, now)
    yield from dashboard_changes(before, now)
    yield from image_changes(before, now)
    yield from chart_changes(charts_before, charts_now)
    yield from request_changes(before, now)
    yield from object_changes(before, now)


def refused(clusters: list[Cluster], gates: list[str]) -> list[str]:
    """What a gate does not let through, one line each."""
    return [
        f"{cluster.stack}: {change.what} {change.verb} ({change.gate})"
        for cluster in clusters
        for change in cluster.changes
        if change.gate in gates and change.gate
    ]
