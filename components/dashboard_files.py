"""Dashboard files: read, chosen for a stack, and adapted to it. All of it is pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.rule_files import RuleFile
from components.tuning import parse_value, tunables
from settings import SettingsError
from settings.alerts import AlertSettings

FOLDERS = {
    "alerts": "Alerts",
    "apps": "Applications",
    "gitops": "GitOps",
    "gpu": "GPUs",
    "kubernetes": "Kubernetes",
    "logs": "Logs",
    "monitoring": "Monitoring",
    "services": "Services",
}
"""Topic, which is the second tag of a dashboard, to its folder in Grafana. No folder has the title of a dashboard."""
MAX_BYTES = 1_000_000
"""A ConfigMap may hold 1 MiB in all."""
RUNBOOKS = "runbook_base_url"
"""The hidden constant of a dashboard that its links to runbooks start with."""


@dataclass(frozen=True)
class Dashboard:
    """One file under dashboards/: its name without ending, and its JSON."""

    name: str
    content: dict[str, Any]

    @property
    def folder(self) -> str:
        """The folder in Grafana."""
        return FOLDERS[self.content["tags"][1]]

    @property
    def text(self) -> str:
        """The JSON as it ships: without spaces, since a state holds it three times."""
        return json.dumps(self.content, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Selection:
    """What a stack ships of the dashboards; what it leaves out, by name, and why."""

    shipped: list[Dashboard]
    left_out: dict[str, str]


def load(folder: Path) -> list[Dashboard]:
    """All dashboards of a folder, by name.

    Raises SettingsError where a file is no JSON object with uid and title, has no topic, is too large, or shares
    its uid.
    """
    found: list[Dashboard] = []
    seen: dict[str, Path] = {}
    for path in sorted(folder.glob("*.json")):
        if path.stat().st_size > 2 * MAX_BYTES:
            raise SettingsError(f"{path}: is larger than a ConfigMap can hold ({MAX_BYTES} bytes); split it")
        try:
            content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
        except RecursionError:
            raise SettingsError(f"{path}: is nested too deeply") from None
        except ValueError as error:
            raise SettingsError(f"{path}: is not readable as JSON: {error}") from None
        if not isinstance(content, dict) or not all(_text(content.get(key)) for key in ("uid", "title")):
            raise SettingsError(f"{path}: needs a uid and a title; without a fixed uid every link to it breaks")
        tags = content.get("tags")
        if not isinstance(tags, list) or tags[1:2] not in [[topic] for topic in FOLDERS]:
            raise SettingsError(f"{path}: its second tag must be its topic, one of {', '.join(FOLDERS)}")
        if not _objects(content.get("panels", [])) or not _objects(_variables(content)):
            raise SettingsError(f"{path}: panels and templating.list must be lists of objects, as Grafana writes them")
        dashboard = Dashboard(path.stem, content)
        if len(dashboard.text.encode()) > MAX_BYTES:
            raise SettingsError(f"{path}: is larger than a ConfigMap can hold ({MAX_BYTES} bytes); split it")
        if content["uid"] in seen:
            raise SettingsError(f"{path}: has the uid {content['uid']} of {seen[content['uid']]}; give it its own")
        seen[content["uid"]] = path
        found.append(dashboard)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise ValueError(f"key {twice!r} stands twice")
    return dict(pairs)


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _variables(content: Mapping[str, Any]) -> Any:
    templating = content.get("templating", {})
    return templating.get("list", []) if isinstance(templating, dict) else None


def select(
    found: Iterable[Dashboard], files: Iterable[RuleFile], alerts: AlertSettings, running: Mapping[str, str | None]
) -> Selection:
    """The dashboards as a stack ships them: its runbooks, its thresholds, and no page of what it does not run.

    A dashboard that is named as a component belongs to it. `running` gives for each component None where it runs,
    else the reason why not.
    """
    found = list(found)
    left_out = {board.name: why for board in found if (why := running.get("grafana") or running.get(board.name))}
    gone = {board.content["uid"] for board in found if board.name in left_out}
    values = tuned(files, alerts)
    shipped = [
        Dashboard(board.name, _adapted(board.content, alerts.runbooks_url, values, gone))
        for board in found
        if board.name not in left_out
    ]
    return Selection(shipped, left_out)


def tuned(files: Iterable[RuleFile], alerts: AlertSettings) -> dict[tuple[str, str], float]:
    """The numbers that a stack tunes, by alert and name of the value, in the unit of the rule file."""
    rules = [rule for file in files for group in file.groups for rule in group["rules"]]
    return {
        (rule["alert"], mark.name): parse_value(tuning.values[mark.name], mark.unit)
        for rule in rules
        if (tuning := alerts.tune.get(rule.get("alert", "")))
        for mark in tunables(rule["expr"]).values()
        if mark.name in tuning.values
    }


def _adapted(
    content: Mapping[str, Any], runbooks_url: str, values: Mapping[tuple[str, str], float], gone: set[str]
) -> dict[str, Any]:
    adapted: dict[str, Any] = _without_links(content, gone)
    for variable in adapted.get("templating", {}).get("list", []):
        if variable.get("name") == RUNBOOKS:
            variable["query"] = runbooks_url
    for panel in adapted.get("panels", []):
        # A key of ours, which Grafana's schema does not have: what ships is without it.
        for entry in panel.pop("alertThresholds", []):
            if (value := values.get((entry["alert"], entry["tune"]))) is not None:
                _move(_steps(panel, entry.get("column")), entry["step"], value)
    return adapted


def _steps(panel: Mapping[str, Any], column: str | None) -> list[dict[str, Any]]:
    """The threshold steps of a panel, or of one column of its table."""
    config = panel["fieldConfig"]
    if column is None:
        return list(config["defaults"]["thresholds"]["steps"])
    return [step for found in _column_thresholds(config["overrides"], column) for step in found["steps"]]


def _column_thresholds(overrides: Iterable[Mapping[str, Any]], column: str) -> Iterator[dict[str, Any]]:
    for override in overrides:
        if override["matcher"] == {"id": "byName", "options": column}:
            yield from (entry["value"] for entry in override["properties"] if entry["id"] == "thresholds")


def _move(steps: list[dict[str, Any]], index: int, value: float) -> None:
    """Set a step to `value` and move the others as far: Grafana needs them in order. Unit: that of the panel and
    of the rule, which a test holds equal."""
    distance = value - steps[index]["value"]
    for step in steps:
        if step["value"] is not None:
            moved = step["value"] + distance
            step["value"] = int(moved) if moved == int(moved) else round(moved, 10)


def _without_links(value: Any, gone: set[str]) -> Any:
    """A copy of a JSON value, without the links to dashboards that are left out."""
    if isinstance(value, dict):
        return {key: _without_links(entry, gone) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_links(entry, gone) for entry in value if not _leads_to(entry, gone)]
    return value


def _leads_to(entry: Any, gone: set[str]) -> bool:
    url = str(entry.get("url", "")) if isinstance(entry, dict) else ""
    return url.startswith("/d/") and url.removeprefix("/d/").partition("?")[0].partition("/")[0] in gone
