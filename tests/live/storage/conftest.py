"""A real MinIO that all tests share."""

import signal
from collections.abc import Iterator

import pytest

from components import loki_storage
from tests.live.storage.lokis import KEYS
from tools import binaries
from tools.faults.daemons import LOCAL, Daemon
from tools.ports import free_ports


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """MinIO as its pod runs it, with the bucket that kubelet makes there."""
    folder = tmp_path_factory.mktemp("minio")
    (folder / "data" / loki_storage.MINIO_BUCKET).mkdir(parents=True)
    [port] = free_ports(1)
    command = [binaries.find("minio"), "server", folder / "data", f"--address={LOCAL}:{port}"]
    command += [f"--certs-dir={folder / 'certs'}"]
    names = dict(zip(("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"), KEYS.values(), strict=True))
    environment = {**names, "MINIO_PROMETHEUS_AUTH_TYPE": "public", "MINIO_BROWSER": "off", "HOME": str(folder)}
    daemon = Daemon("MinIO", [str(c) for c in command], folder / "minio.log", port, environment, "/minio/health/ready")
    try:
        yield daemon.start().ready()
    finally:
        daemon.end(signal.SIGKILL)
