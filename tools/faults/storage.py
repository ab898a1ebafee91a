"""Faults of Loki's own disk, and its clean-up: a small disk that fills, and lines that are too old."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from settings import Settings
from settings.logs import StreamRetention
from tools.faults import daemons
from tools.faults.daemons import Daemon
from tools.faults.lines import Counted, push
from tools.faults.pipeline import Pipeline, Result, Size

DISK_MIB = 512
THROTTLED = "disk usage exceeded threshold, throttling writes"
"""What Loki says when its disk is 90 % full: it refuses lines from then on, and the agents hold them."""
NO_SPACE = "Error writing to WAL, disk full"
DAY = 86400


def disk_nearly_full(folder: Path, settings: Settings, size: Size) -> Result:
    """Another program fills Loki's disk to 95 %; Loki refuses lines, is killed meanwhile, and gets its room back."""
    return _filled(folder, settings, size, 0.95, THROTTLED, "Loki refused lines at 90 %")


def disk_full_at_once(folder: Path, settings: Settings, size: Size) -> Result:
    """The disk is full before Loki looks (every 10 s): it takes lines into memory alone, and then it is killed."""
    found = _filled(folder, settings, size, 1.0, NO_SPACE, "lines taken without a disk are lost with the process")
    return Result(found.written, found.counted, allowed=found.written // 3, notes=found.notes)


def _filled(folder: Path, settings: Settings, size: Size, share: float, said: str, note: str) -> Result:
    data = folder / "loki"
    if not _can_mount():
        return Result(0, Counted(0, 0), skipped="a small disk cannot be mounted here (root and mount are needed)")
    with _small_disk(data), Pipeline(folder, settings, size.lines, retries=size.retries) as pipeline:
        writer, third = pipeline.writer, size.lines // 3
        writer.write(third)
        pipeline.count(size.patience)
        ballast = data / "ballast"
        _fill(ballast, share)
        if share < 1:
            daemons.until("Loki to see that its disk is full", lambda: said in pipeline.loki.log())
        writer.write(third)
        daemons.until(f"Loki to say: {said}", lambda: said in pipeline.loki.log())
        if share < 1:
            daemons.until("a refused push", lambda: "error sending batch" in pipeline.agent.log())
        pipeline.loki.end(signal.SIGKILL)
        ballast.unlink()
        pipeline.loki.start().ready()
        writer.write(writer.total - writer.written)
        return Result(writer.written, pipeline.count(size.patience)).noting(note)


def _fill(file: Path, share: float) -> None:
    """Fill the disk of the file to this share of it."""
    total, _, free = shutil.disk_usage(file.parent)
    wanted = free - int(total * (1 - share))
    block = b"\0" * 2**20
    with file.open("wb", buffering=0) as out:
        try:
            while wanted > 0:
                wanted -= out.write(block[:wanted])
        except OSError:
            return


def _can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None and Path("/proc/self/mounts").exists()


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def retention(folder: Path, settings: Settings, size: Size) -> Result:
    """Lines older than the retention of their stream are deleted, on the disk too; all others stay.

    The lines have old times, and the compactor runs every second: what takes days takes a minute.
    """
    per_stream = StreamRetention.model_validate({"app": "kept", "period": "5d"})
    loki = settings.loki.model_copy(update={"retention": "2d", "retention_streams": [per_stream]})
    settings = settings.model_copy(update={"loki": loki})
    # (app, age in days): whether it stays.
    written = {("plain", 1): True, ("plain", 3): False, ("kept", 3): True, ("kept", 6): False}
    count = 500
    idle = {"retention_enabled": False, "delete_request_store": ""}
    with _running(daemons.loki(folder, settings, compactor=idle)) as daemon:
        for app, age in written:
            at = time.time_ns() - age * DAY * 10**9
            push(daemon, loki.tenant, {"app": app, "age": str(age)}, [(at + n, f"{n}") for n in range(count)])
        # Its end writes chunks and index to the store, where queries for old lines and the compactor look.
        daemon.end(signal.SIGTERM)
        daemon.start().ready()
        before = _counts(daemon, loki.tenant)
        if before != dict.fromkeys(((app, str(age)) for app, age in written), count):
            raise RuntimeError(f"the lines did not arrive: {before}")
        chunks = _files(folder)
    busy = {"compaction_interval": "1s", "retention_delete_delay": "1s"}
    gone = [(app, str(age)) for (app, age), stays in written.items() if not stays]
    with _running(daemons.loki(folder, settings, compactor=busy)) as daemon:
        daemons.until("deletion of old chunks", lambda: _files(folder) <= chunks - len(gone), 300)
        # A querier keeps the index for minutes; one that comes new sees what is there.
        daemon.end(signal.SIGTERM)
        for cache in ("tsdb-shipper-active", "tsdb-shipper-cache"):
            shutil.rmtree(folder / "loki" / cache)
        daemon.start().ready()
        after = _counts(daemon, loki.tenant)
    if set(after) & set(gone):
        raise RuntimeError(f"lines that are too old are still there: {after}")
    young = [(app, str(age)) for (app, age), stays in written.items() if stays]
    lost = sum(count - after.get(name, 0) for name in young)
    note = f"{len(gone) * count} lines that were too old are gone, and {len(gone)} of {chunks} chunks on the disk"
    return Result(len(young) * count, Counted(lost, 0)).noting(note)


@contextmanager
def _running(daemon: Daemon) -> Iterator[Daemon]:
    try:
        yield daemon.start().ready()
    finally:
        daemon.end(signal.SIGTERM)


def _counts(daemon: Daemon, tenant: str) -> dict[tuple[str, str], int]:
    query = 'sum by (app, age) (count_over_time({app=~"plain|kept"}[7d]))'
    answer = daemon.get("/loki/api/v1/query", tenant, query=query)["data"]["result"]
    return {(one["metric"]["app"], one["metric"]["age"]): int(one["value"][1]) for one in answer}


def _files(folder: Path) -> int:
    """Chunks on the disk."""
    return sum(1 for path in (folder / "loki/chunks").rglob("*") if path.is_file() and "index" not in path.parts)
