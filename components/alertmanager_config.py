"""Alertmanager's configuration. `amtool check-config` accepts every result."""

from typing import Any

from components.inhibition import inhibit_rules
from components.receivers import receivers
from components.routes import route, time_intervals
from settings import Settings


def config(settings: Settings) -> dict[str, Any]:
    """Content of alertmanager.yaml, without the path of the templates.

    Raises SettingsError where a route names a component that no rule has.
    """
    return {
        # Only for senders that give no end; Prometheus and Loki's ruler do.
        "global": {"resolve_timeout": "5m"},
        "route": route(settings),
        "inhibit_rules": inhibit_rules(),
        "receivers": receivers(settings.alertmanager),
        "time_intervals": time_intervals(settings.alertmanager),
    }
