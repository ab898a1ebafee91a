"""Does the Watchdog leave for the outside service, and does it get there?"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from components.receivers import HEARTBEAT, HEARTBEAT_LOGS
from settings import Settings
from tools.reach import Part
from tools.verify.result import Result

BEATS = {HEARTBEAT: "Watchdog", HEARTBEAT_LOGS: "LogsWatchdog"}
_SENT = re.compile(r"^alertmanager_notifications(?P<failed>_failed)?_total\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.M)


def beats(settings: Settings) -> dict[str, str]:
    """The alert of each heartbeat that the stack has, by the receiver's name."""
    heartbeat = settings.alertmanager.heartbeat
    keys = {HEARTBEAT: heartbeat.url_secret, HEARTBEAT_LOGS: heartbeat.logs_url_secret}
    return {receiver: BEATS[receiver] for receiver, key in keys.items() if key}


def routed(alertmanagers: Iterable[Part], alert: str, receiver: str) -> str | None:
    """Why the Watchdog does not go to its heartbeat; None where it does."""
    path = f"/api/v2/alerts?filter={quote(f'alertname={chr(34)}{alert}{chr(34)}')}"
    found: list[dict[str, Any]] = [entry for part in alertmanagers for entry in part.read(path)]
    if not found:
        return f"Alertmanager does not have the alert {alert}"
    if not any(receiver == entry["name"] for alert_ in found for entry in alert_["receivers"]):
        return f"{alert} is not routed to {receiver}"
    if all(entry["status"]["state"] == "suppressed" for entry in found):
        return f"{alert} is muted"
    return None


def sent(alertmanagers: Iterable[Part]) -> tuple[float, float]:
    """Webhook notifications of all replicas since they started: tried, and failed.

    Those of the heartbeats alone where Alertmanager labels its counters by receiver.
    """
    tried = failed = 0.0
    for part in alertmanagers:
        for match in _SENT.finditer(part.text("/metrics")):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match["labels"]))
            if labels.get("integration") == "webhook" and labels.get("receiver_name", HEARTBEAT) in BEATS:
                if match["failed"]:
                    failed += float(match["value"])
                else:
                    tried += float(match["value"])
    return tried, failed


class Watch:
    """Counts what leaves for the heartbeats from its first look on."""

    def __init__(self, wanted: dict[str, str]) -> None:
        self._wanted = wanted
        self._before: tuple[float, float] | None = None

    def look(self, alertmanagers: list[Part]) -> Result:
        """Well where since the first look one notification has left for each heartbeat, and none failed."""
        counted = sent(alertmanagers)
        self._before = self._before or counted
        for receiver, alert in self._wanted.items():
            why = routed(alertmanagers, alert, receiver)
            if why:
                return Result("", False, why, "Prometheus' page Alerts, then make routes, then Alertmanager's log")
        tried, failed = (now - then for now, then in zip(counted, self._before, strict=True))
        went = tried - failed
        words = f"{' and '.join(self._wanted.values())}: {went:.0f} notifications were accepted while this ran"
        words += f", {failed:.0f} failed" if failed else ""
        todo = "Alertmanager's log says what the receiver answered"
        return Result("", went >= len(self._wanted) and not failed, words, todo)
