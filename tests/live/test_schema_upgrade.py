"""The upgrade of Loki's schema, as docs/upgrade.md says it, on a real Loki."""

import json
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from components import loki_config
from tools.faults.daemons import Daemon, loki, until
from tools.rules import stack_settings

SETTINGS = stack_settings("dev")


def push(daemon: Daemon, when: datetime, texts: list[str]) -> None:
    start = int(when.timestamp()) * 10**9
    values = [[str(start + number), text] for number, text in enumerate(texts)]
    body = json.dumps({"streams": [{"stream": {"app": "shop"}, "values": values}]}).encode()
    headers = {"Content-Type": "application/json", "X-Scope-OrgID": SETTINGS.loki.tenant}
    request = urllib.request.Request(f"{daemon.url}/loki/api/v1/push", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 204


def lines(daemon: Daemon) -> list[str]:
    start = str(time.time_ns() - 3 * 86400 * 10**9)
    query = {"query": '{app="shop"}', "start": start, "limit": "5000", "direction": "forward"}
    answer: dict[str, Any] = daemon.get("/loki/api/v1/query_range", SETTINGS.loki.tenant, **query)
    return [value[1] for stream in answer["data"]["result"] for value in stream["values"]]


def test_a_new_period_reads_what_the_old_one_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of the day before, then a period that begins today."""
    now = datetime.now(UTC)
    before = [f"before {number}" for number in range(500)]
    after = [f"after {number}" for number in range(500)]
    running = loki(tmp_path, SETTINGS).start()
    try:
        running.ready()
        push(running, now - timedelta(days=1), before)
    finally:
        running.end()
    monkeypatch.setattr(loki_config, "SCHEMAS", (*loki_config.SCHEMAS, (now.date().isoformat(), "v13")))
    upgraded = loki(tmp_path, SETTINGS).start()
    try:
        upgraded.ready()
        push(upgraded, now, after)
        until("all lines", lambda: len(lines(upgraded)) >= len(before) + len(after))
        assert lines(upgraded) == before + after
    finally:
        upgraded.end()
