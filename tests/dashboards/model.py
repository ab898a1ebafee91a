"""Read the dashboards of the repository and ask them for their panels, queries and variables."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "dashboards"
# What Grafana puts in for its own variables, at a step of one minute and a scrape interval of 30 s.
GRAFANA_VARIABLES = {"__rate_interval": "2m", "__auto": "1m", "__interval": "1m", "__range": "1h"}
VARIABLE = re.compile(r"\$\{?(\w+)(?::\w+)?\}?")


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    panel: "Panel"
    raw: dict[str, Any]

    @property
    def expr(self) -> str:
        return str(self.raw["expr"])

    @property
    def is_loki(self) -> bool:
        return bool(self.raw["datasource"]["type"] == "loki")

    @property
    def is_instant(self) -> bool:
        return bool(self.raw.get("instant")) or self.raw.get("queryType") == "instant"

    @property
    def name(self) -> str:
        return f"{self.panel.name} {self.raw['refId']}"


@dataclass(frozen=True)
class Panel:
    """A panel that is no row."""

    dashboard: "Dashboard"
    raw: dict[str, Any]

    @property
    def title(self) -> str:
        return str(self.raw["title"])

    @property
    def name(self) -> str:
        return f"{self.dashboard.uid}: {self.title}"

    @property
    def key(self) -> tuple[str, str]:
        return self.dashboard.uid, self.title

    @property
    def defaults(self) -> dict[str, Any]:
        return dict(self.raw["fieldConfig"]["defaults"])

    def properties(self, column: str | None = None) -> dict[str, Any]:
        """Unit, thresholds and the like of the panel, or of one column of its table."""
        if column is None:
            return self.defaults
        overrides = self.raw["fieldConfig"]["overrides"]
        (override,) = [entry for entry in overrides if entry["matcher"] == {"id": "byName", "options": column}]
        return {entry["id"]: entry["value"] for entry in override["properties"]}

    @property
    def targets(self) -> list[Target]:
        return [Target(self, target) for target in self.raw.get("targets", [])]

    @property
    def empty_when_healthy(self) -> bool:
        """`noValue` is the text that a reader sees when there is nothing to show."""
        return "noValue" in self.defaults


@dataclass(frozen=True)
class Dashboard:
    """One JSON file."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def raw(self) -> dict[str, Any]:
        return dict(json.loads(self.text))

    @property
    def uid(self) -> str:
        return str(self.raw["uid"])

    @property
    def variables(self) -> dict[str, dict[str, Any]]:
        return {variable["name"]: variable for variable in self.raw["templating"]["list"]}

    @property
    def panels(self) -> list[Panel]:
        return [Panel(self, panel) for panel in self.raw["panels"] if panel["type"] != "row"]

    def fill_in(self, query: str, **values: str) -> str:
        """The query as Grafana sends it: `values` win, else what a variable means when all is chosen.

        Raises `KeyError` for a variable that the dashboard does not have.
        """
        known = {**GRAFANA_VARIABLES, **{name: _everything(v) for name, v in self.variables.items()}, **values}
        return VARIABLE.sub(lambda match: known[match[1]], query)


def _everything(variable: dict[str, Any]) -> str:
    return str(variable.get("allValue", variable["query"] if variable["type"] in ("textbox", "constant") else ""))


def dashboards() -> list[Dashboard]:
    """All dashboards, in the order of their names."""
    return [Dashboard(path) for path in sorted(FOLDER.glob("*.json"))]


def panels() -> Iterator[Panel]:
    for dashboard in dashboards():
        yield from dashboard.panels


def targets(*, loki: bool) -> list[Target]:
    """All queries to Loki, or all to Prometheus."""
    return [target for panel in panels() for target in panel.targets if target.is_loki == loki]
