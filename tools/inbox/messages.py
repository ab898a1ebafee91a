"""Messages that arrived, kept in memory and in one file, a line of JSON each."""

import json
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SHOWN = 500
"""Messages that are kept in memory; the file has all of them."""


@dataclass(frozen=True)
class Alert:
    """One alert of a message: its labels, whether it fires, and when it began (RFC 3339, as the sender wrote it)."""

    labels: dict[str, str]
    status: str
    starts: str


@dataclass(frozen=True)
class Message:
    """One delivered message. `received` is in seconds since the epoch; `alerts` is empty where the channel has none."""

    number: int
    received: float
    channel: str
    to: str
    title: str
    text: str
    status: str = ""
    alerts: list[Alert] = field(default_factory=list)


class Inbox:
    """All messages, and when each heartbeat was last heard. Safe for use by several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._arrived = threading.Condition()
        self._messages = [_read(line) for line in file.read_text().splitlines()] if file.exists() else []
        self._next = self._messages[-1].number + 1 if self._messages else 1
        self._heartbeats: dict[str, dict[str, float]] = {}

    def add(
        self, channel: str, to: str, title: str, text: str, status: str = "", alerts: list[Alert] | None = None
    ) -> None:
        """Take in a message."""
        with self._arrived:
            message = Message(self._next, time.time(), channel, to, title, text, status, alerts or [])
            self._next += 1
            self._messages = [*self._messages, message][-SHOWN:]
            with self._file.open("a", encoding="utf-8") as output:
                output.write(json.dumps(asdict(message)) + "\n")
            self._arrived.notify_all()

    def beat(self, name: str) -> None:
        """Take in a heartbeat: counted, since one a minute would bury the messages."""
        with self._arrived:
            count = self._heartbeats.get(name, {"count": 0})["count"] + 1
            self._heartbeats[name] = {"count": count, "last": time.time()}

    def after(self, number: int, seconds: float = 0) -> dict[str, Any]:
        """Messages with a higher number, waiting up to `seconds` for the first; JSON as the page reads it."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._next - 1 > number, timeout=seconds)
            new = [asdict(message) for message in self._messages if message.number > number]
            return {"messages": new, "heartbeats": dict(self._heartbeats)}


def _read(line: str) -> Message:
    content = json.loads(line)
    return Message(**{**content, "alerts": [Alert(**alert) for alert in content["alerts"]]})
