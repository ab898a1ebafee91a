"""The bucket of a real Loki, copied by rclone out of a real MinIO and back into an emptied one."""

import signal
from pathlib import Path

import pytest

from components import loki_storage
from settings.logs import S3
from tests.live.storage import lokis
from tools.backup import bucket
from tools.faults.daemons import Daemon, until
from tools.faults.lines import push

TENANT, APP, COUNT = "copied", "shop", 500


def test_a_bucket_comes_back_with_every_line(minio: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = lokis.with_loki(replicas=3, tenant=TENANT)
    store = S3(type="s3", bucket=loki_storage.MINIO_BUCKET, region="us-east-1", endpoint=minio.url)
    for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), lokis.KEYS.values(), strict=True):
        monkeypatch.setenv(name, value)
    wanted = lokis.numbered(COUNT)
    with lokis.running(tmp_path / "before", settings, minio, ["all"] * 3, 13) as found:
        push(found.one("all"), TENANT, {"app": APP}, wanted)
        for one in found.every:
            one.end(signal.SIGTERM)
    chunks = lokis.chunks(minio, TENANT)
    assert chunks > 0, "what was flushed lies in the bucket"
    bucket.save(store, tmp_path / "backup")
    copied = [path for path in (tmp_path / "backup" / bucket.FOLDER).rglob("*") if path.is_file()]
    bucket.save(store, tmp_path / "backup")
    (tmp_path / "empty").mkdir()
    place = bucket.remote(store)
    assert place
    bucket.rclone("sync", str(tmp_path / "empty"), place)
    assert lokis.chunks(minio, TENANT) == 0
    bucket.restore(store, tmp_path / "backup")
    assert lokis.chunks(minio, TENANT) == chunks
    with lokis.running(tmp_path / "after", settings, minio, ["all"] * 3, 14) as found:
        reader = found.one("all")
        until("every line", lambda: len(lokis.lines(reader, TENANT, APP)) >= COUNT)
        assert sorted(lokis.lines(reader, TENANT, APP)) == sorted(text for _, text in wanted)
    print(f"{len(copied)} objects of a bucket copied and put back; {COUNT} lines, equal")
