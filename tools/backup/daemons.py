"""What each daemon needs before its data is copied, and what it cannot get back from a copy alone."""

import json
import time
import urllib.request
from typing import Any

from tools.console import UserError

SECONDS = 30
FLUSH_SECONDS = 300
QUEUE = "loki_ingester_flush_queue_length"
HEAD = ("prometheus-db/chunks_head", "prometheus-db/lock")
LEFT_OUT = {"prometheus": HEAD, "hub": HEAD}
"""Paths of a claim that are not restored. The head's mapped chunks change while they are read; the write-ahead log
holds all of it."""
SAME = ("matchers", "startsAt", "endsAt", "createdBy", "comment")
"""What tells two silences apart, whatever their identifiers."""


def flush_loki(url: str) -> None:
    """Have an ingester write its chunks, and wait until its queue is empty.

    Raises UserError where it does not answer or takes too long. The write-ahead log is copied all the same.
    """
    request = urllib.request.Request(f"{url}/flush", method="POST")  # noqa: S310 (a forwarded port)
    _answer(request)
    deadline = time.monotonic() + FLUSH_SECONDS
    while _queued(_answer(urllib.request.Request(f"{url}/metrics")).decode()):  # noqa: S310
        if time.monotonic() > deadline:
            raise UserError(f"Loki still has chunks to write after {FLUSH_SECONDS} s; is its object store in reach?")
        time.sleep(0.5)


def _queued(metrics: str) -> float:
    return sum(float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines() if line.startswith(QUEUE))


def silences(url: str) -> list[dict[str, Any]]:
    """Silences that are active or pending. Alertmanager writes its file every quarter of an hour only."""
    found: list[dict[str, Any]] = json.loads(_answer(urllib.request.Request(f"{url}/api/v2/silences")))  # noqa: S310
    return [item for item in found if item["status"]["state"] != "expired"]


def add_silences(url: str, wanted: list[dict[str, Any]]) -> int:
    """Add the silences that are not there; returns how many. Those that have ended since are left."""
    there = [_what(item) for item in silences(url)]
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    missing = [item for item in wanted if _what(item) not in there and item["endsAt"] > now]
    for item in missing:
        body = json.dumps({key: item[key] for key in SAME}).encode()
        headers = {"Content-Type": "application/json"}
        _answer(urllib.request.Request(f"{url}/api/v2/silences", data=body, headers=headers))  # noqa: S310
    return len(missing)


def _what(item: dict[str, Any]) -> str:
    # Alertmanager begins a silence that was sent again at the present time.
    return json.dumps([item[key] for key in SAME if key != "startsAt"], sort_keys=True)


def _answer(request: urllib.request.Request) -> bytes:
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 (a forwarded port)
            content: bytes = answer.read()
            return content
    except OSError as error:
        raise UserError(f"{request.full_url} does not answer: {error}") from None
