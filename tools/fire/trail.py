"""The way of one alert from its cause to a person, with the time of each step."""

import calendar
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tools.access import Access

STEPS = ("caused", "line", "sample", "pending", "firing", "routed", "delivered")


@dataclass
class Trail:
    """Steps that were seen, in seconds since the cause, and what was seen there."""

    alert: str
    rule: Mapping[str, Any]
    evaluator: str
    labels: Mapping[str, str]
    began: float = field(default_factory=time.time)
    seen: dict[str, tuple[float, str]] = field(default_factory=dict)

    def note(self, step: str, text: str, at: float | None = None) -> None:
        """Note a step when it is first seen; `at` in seconds since the epoch where the source tells its own time."""
        if step not in self.seen:
            self.seen[step] = ((at or time.time()) - self.began, text)

    @property
    def done(self) -> bool:
        """Whether it reached a person, or is known to be for nobody at once."""
        return "delivered" in self.seen

    def look(self, access: Access, namespace: str, *, logs: bool) -> list[str]:
        """Look for the steps that come next; returns the names of those that are new."""
        before = set(self.seen)
        if logs and "line" not in self.seen:
            self._line(access, namespace)
        self._evaluator(access)
        if "firing" in self.seen:
            self._routed(access)
        if "routed" in self.seen and not self.done:
            self._delivered(access)
        return [step for step in STEPS if step in self.seen and step not in before]

    def _line(self, access: Access, namespace: str) -> None:
        query = quote(f'{{namespace="{namespace}"}}')
        start = int(self.began * 10**9)
        path = f"/loki/api/v1/query_range?query={query}&limit=1&direction=forward&start={start}"
        for stream in access.read("loki", path)["data"]["result"]:
            stamp, text = stream["values"][0][:2]
            # The time at which it can be read: that of the line itself is the cause's.
            self.note("line", f"{text[:100]} (written {int(stamp) / 10**9 - self.began:.1f} s after the cause)")

    def _evaluator(self, access: Access) -> None:
        for alert in _alerts(access, self.evaluator, self.alert):
            if not self._is_it(alert["labels"]):
                continue
            active = _seconds(alert["activeAt"])
            if active < self.began:
                continue
            words = _words(alert["labels"])
            self.note("sample", f"value {alert['value']}", active)
            self.note("pending", words, active)
            if alert["state"] == "firing":
                self.note("firing", words)

    def _routed(self, access: Access) -> None:
        path = f"/api/v2/alerts?filter={quote(f'alertname={chr(34)}{self.alert}{chr(34)}')}"
        for alert in access.read("alertmanager", path):
            if not self._is_it(alert["labels"]):
                continue
            receivers = ", ".join(receiver["name"] for receiver in alert["receivers"])
            state = alert["status"]["state"]
            self.note("routed", f"to {receivers}" + (f" ({state})" if state != "active" else ""))
            if state == "suppressed" or receivers == "nobody":
                self.note("delivered", f"to nobody: {'it is muted' if state == 'suppressed' else 'no route leads on'}")

    def _delivered(self, access: Access) -> None:
        # An earlier one of this name may be told to be over only now.
        earliest = self.began + self.seen["pending"][0]
        for message in access.read("inbox", "/messages")["messages"]:
            if message["received"] < earliest:
                continue
            for alert in message["alerts"]:
                own = alert["labels"].get("alertname") == self.alert and self._is_it(alert["labels"])
                if own and alert["status"] == "firing":
                    self.note("delivered", f"{message['channel']} to {message['to']}", message["received"])

    def _is_it(self, labels: Mapping[str, str]) -> bool:
        return self.labels.items() <= labels.items()


def _alerts(access: Access, evaluator: str, name: str) -> list[dict[str, Any]]:
    path = "/api/v1/alerts" if evaluator == "prometheus" else "/prometheus/api/v1/alerts"
    found = access.read(evaluator, path)["data"]["alerts"]
    return [alert for alert in found if alert["labels"].get("alertname") == name]


def _seconds(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time in UTC, with any number of digits in its fraction."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


def _words(labels: Mapping[str, str]) -> str:
    usual = {"alertname", "cluster", "component", "team", "severity"}
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key not in usual)
