"""Receivers of Alertmanager: nobody, the heartbeats, and those of the stack file."""

from typing import Any

from components import receiver_kinds
from settings.delivery import AlertmanagerSettings

NOBODY = "nobody"
HEARTBEAT = "heartbeat"
HEARTBEAT_LOGS = "heartbeat-logs"


def receivers(alertmanager: AlertmanagerSettings) -> list[dict[str, Any]]:
    """The `receivers` of alertmanager.yaml. No secret is ever in the text."""
    result: list[dict[str, Any]] = [{"name": NOBODY}]
    beats = {HEARTBEAT: alertmanager.heartbeat.url_secret, HEARTBEAT_LOGS: alertmanager.heartbeat.logs_url_secret}
    for name, key in beats.items():
        if key:
            # A `resolved` to a heartbeat address would look like life.
            beat = {"url_file": receiver_kinds.secret_file(key), "send_resolved": False, "max_alerts": 1}
            result.append({"name": name, "webhook_configs": [beat]})
    for name, channels in alertmanager.receivers.items():
        receiver: dict[str, Any] = {"name": name}
        for channel in channels:
            listed = receiver.setdefault(receiver_kinds.section(channel), [])
            listed.append({"send_resolved": True, **receiver_kinds.entry(channel)})
        result.append(receiver)
    return result
