"""What changes on dashboards: boards and their panels."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tools.diff.change import Change

PLACE = frozenset({"id", "gridPos"})


def boards(objects: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Dashboards by uid, as Grafana's sidecar finds them."""
    found = {}
    for item in objects:
        if item["kind"] == "ConfigMap" and "grafana_dashboard" in item["metadata"].get("labels", {}):
            for text in item.get("data", {}).values():
                board = json.loads(text)
                found[str(board.get("uid") or item["metadata"]["name"])] = board
    return found


def panels(board: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Panels by title, those of closed rows among them; a title that stands twice gets a number."""
    found: dict[str, dict[str, Any]] = {}
    for panel in board.get("panels", []):
        for one in (panel, *panel.get("panels", [])):
            title = one.get("title") or f"untitled {one.get('type', 'panel')}"
            name = title if title not in found else f"{title} ({sum(key.startswith(title) for key in found) + 1})"
            found[name] = {key: value for key, value in one.items() if key not in PLACE and key != "panels"}
    return found


def dashboard_changes(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> Iterator[Change]:
    """Dashboards and panels that were added, removed or changed. A panel that only moved is none."""
    old, new = boards(before), boards(now)
    for uid in sorted({*old, *new}):
        if old.get(uid) == new.get(uid):
            continue
        title = (new.get(uid) or old[uid]).get("title", uid)
        if uid not in new:
            yield Change("dashboards", "removed", title)
        elif uid not in old:
            yield Change("dashboards", "added", title, f"{len(panels(new[uid]))} panels")
        else:
            yield Change("dashboards", "changed", title, _panels(panels(old[uid]), panels(new[uid])))


def _panels(before: dict[str, Any], now: dict[str, Any]) -> str:
    parts = {
        "added": [name for name in now if name not in before],
        "removed": [name for name in before if name not in now],
        "changed": [name for name in now if name in before and now[name] != before[name]],
    }
    words = [f"{verb} {', '.join(names)}" for verb, names in parts.items() if names]
    return "; ".join(words) or "layout or settings"
