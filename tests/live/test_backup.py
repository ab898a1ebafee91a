"""Data of real daemons, copied while they run and put into new ones, is equal."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.daemons import Alertmanager, alert, wait_for
from tests.delivery.sinks import http_sink
from tools.backup import archive, daemons
from tools.backup.archive import Volume
from tools.binaries import find
from tools.console import UserError
from tools.faults.daemons import Daemon, loki, until
from tools.ports import free_ports
from tools.rules import stack_settings

SETTINGS = stack_settings("dev")
TENANT = SETTINGS.loki.tenant
LINES = 2000


def post(url: str, content: object, **headers: str) -> None:
    request = urllib.request.Request(
        url, data=json.dumps(content).encode(), headers={"Content-Type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status < 300


# Prometheus


@contextmanager
def prometheus(folder: Path, *, scrapes: bool) -> Iterator[Daemon]:
    """Prometheus with its data where the operator mounts it within a claim."""
    [port] = free_ports(1)
    config = folder / "prometheus.yaml"
    target = {"job_name": "self", "scrape_interval": "1s", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    config.write_text(json.dumps({"scrape_configs": [target] if scrapes else []}))
    command = [
        str(find("prometheus")),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}/claim/prometheus-db",
        "--storage.tsdb.retention.time=10d",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    daemon = Daemon("Prometheus", command, folder / "log", port, {}, "/-/ready").start()
    try:
        yield daemon.ready()
    finally:
        daemon.end()


def samples(daemon: Daemon, at: float) -> dict[str, list[Any]]:
    """Every sample of every series up to a time."""
    answer = daemon.get("/api/v1/query", "", query='{__name__=~".+"}[3d]', time=str(at))
    return {json.dumps(item["metric"], sort_keys=True): item["values"] for item in answer["data"]["result"]}


def backfill(folder: Path) -> None:
    """Samples of yesterday, as a finished block."""
    day = int(time.time()) - 86400
    lines = [
        f'orders_total{{shop="{shop}"}} {step * shop} {day + step * 60}' for shop in range(5) for step in range(60)
    ]
    (folder / "yesterday").write_text("# TYPE orders_total counter\n" + "\n".join(lines) + "\n# EOF\n")
    database = folder / "claim" / "prometheus-db"
    command = [find("promtool"), "tsdb", "create-blocks-from", "openmetrics", folder / "yesterday", database]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def test_prometheus(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    (before / "claim").mkdir(parents=True)
    (after / "claim").mkdir(parents=True)
    (after / "claim" / "what-was-there").touch()
    backfill(before)
    with prometheus(before, scrapes=True) as running:
        scraped = "count_over_time(up[1h])"
        until(
            "twenty scrapes",
            lambda: [
                item
                for item in running.get("/api/v1/query", "", query=scraped)["data"]["result"]
                if int(item["value"][1]) >= 20
            ],
        )
        # A scrape bears the time of its begin: all that began until then are stored by now.
        at = time.time() - 10
        known = samples(running, at)
        archive.save(Volume(str(before / "claim")), tmp_path / "claim.tar.gz")
        assert running.get("/api/v1/query", "", query="up")["data"]["result"], "it still runs"
    archive.restore(Volume(str(after / "claim")), tmp_path / "claim.tar.gz", daemons.LEFT_OUT["prometheus"])
    assert not (after / "claim" / "what-was-there").exists()
    with prometheus(after, scrapes=False) as restored:
        found = samples(restored, at)
    count = sum(len(values) for values in known.values())
    print(f"Prometheus: {len(known)} series with {count} samples, equal: {found == known}")
    assert len([key for key in known if "orders_total" in key]) == 5
    assert len(known) > 300
    assert found == known


# Loki


def push(daemon: Daemon, texts: list[str]) -> None:
    now = time.time_ns()
    values = [[str(now + number), text] for number, text in enumerate(texts)]
    stream = {"stream": {"app": "shop", "namespace": "default"}, "values": values}
    post(f"{daemon.url}/loki/api/v1/push", {"streams": [stream]}, **{"X-Scope-OrgID": TENANT})


def lines(daemon: Daemon) -> list[str]:
    start = str(time.time_ns() - 3600 * 10**9)
    answer = daemon.get(
        "/loki/api/v1/query_range", TENANT, query='{app="shop"}', start=start, limit="5000", direction="forward"
    )
    return [value[1] for stream in answer["data"]["result"] for value in stream["values"]]


def test_loki(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    texts = [f"order {number} of shop {number % 7}" for number in range(LINES)]
    for folder in (before, after):
        (folder / "loki").mkdir(parents=True)
    running = loki(before, SETTINGS).start()
    try:
        running.ready()
        push(running, texts[: LINES // 2])
        daemons.flush_loki(running.url)
        # The queue is empty before its last chunk is written.
        until("flushed chunks in the object store", lambda: list((before / "loki" / "chunks").rglob("*")))
        # These are in the write-ahead log alone.
        push(running, texts[LINES // 2 :])
        archive.save(Volume(str(before / "loki")), tmp_path / "loki.tar.gz")
        assert lines(running) == texts
    finally:
        running.end()
    shutil.rmtree(before)
    archive.restore(Volume(str(after / "loki")), tmp_path / "loki.tar.gz")
    restored = loki(after, SETTINGS).start()
    try:
        restored.ready()
        until("all lines", lambda: len(lines(restored)) >= LINES)
        found = lines(restored)
    finally:
        restored.end()
    print(f"Loki: {LINES} lines, half of them flushed, {len(found)} after the restore, equal: {found == texts}")
    assert found == texts


# Alertmanager


def silence(name: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "matchers": [{"name": "alertname", "value": name, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=2)).isoformat(),
        "createdBy": "someone",
        "comment": "a test",
    }


def has_content(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


def names(alertmanager: Alertmanager) -> list[str]:
    return sorted(item["matchers"][0]["value"] for item in daemons.silences(alertmanager.url))


def test_alertmanager(tmp_path: Path) -> None:
    """Silences come back whether its file has them yet or not; what was told is not told again."""
    with http_sink() as sink:
        hook = {"name": "all", "webhook_configs": [{"url": f"{sink.url}/hook", "send_resolved": False}]}
        route = {"receiver": "all", "group_by": ["alertname"], "group_wait": "100ms", "group_interval": "1s"}
        config = {"route": {**route, "repeat_interval": "1d"}, "receivers": [hook]}
        # The file every second, where the daemon's own interval is a quarter of an hour.
        first = Alertmanager(tmp_path / "before", config, "--data.maintenance-interval=1s").start()
        volume = Volume(str(tmp_path / "before" / "data"))
        try:
            post(f"{first.url}/api/v2/silences", silence("InTheFile"))
            first.push([alert("Told")])
            wait_for("a message", lambda: sink.to("/hook"))
            for name in ("nflog", "silences"):
                file = tmp_path / "before" / "data" / name
                wait_for(f"{name} with content", partial(has_content, file))
            archive.save(volume, tmp_path / "alertmanager.tar.gz")
            post(f"{first.url}/api/v2/silences", silence("AfterTheFile"))
            told = json.loads(json.dumps(daemons.silences(first.url)))
        finally:
            first.stop()
        second = Alertmanager(tmp_path / "after", config)
        (tmp_path / "after" / "data").mkdir()
        archive.restore(Volume(str(tmp_path / "after" / "data")), tmp_path / "alertmanager.tar.gz")
        try:
            second.start()
            assert names(second) == ["InTheFile"]
            assert daemons.add_silences(second.url, told) == 1
            assert daemons.add_silences(second.url, told) == 0
            assert names(second) == ["AfterTheFile", "InTheFile"]
            second.push([alert("Told"), alert("New")])
            wait_for("the new alert", lambda: [r for r in sink.to("/hook") if "New" in json.dumps(r.body)])
            again = [r for r in sink.to("/hook") if "Told" in json.dumps(r.body)]
            print(f"Alertmanager: 2 silences of 2, messages about the alert that was told: {len(again)}")
            assert len(again) == 1
        finally:
            second.stop()


# What goes wrong


def test_a_folder_that_cannot_be_read_leaves_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was not read as a whole"):
        archive.save(Volume(str(tmp_path / "nowhere")), tmp_path / "file.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_archive_is_said(tmp_path: Path) -> None:
    (tmp_path / "claim").mkdir()
    (tmp_path / "plain").write_bytes(b"not an archive")
    subprocess.run(["gzip", str(tmp_path / "plain")], check=True)
    with pytest.raises(UserError, match=r"plain\.gz did not get into"):
        archive.restore(Volume(str(tmp_path / "claim")), tmp_path / "plain.gz")
