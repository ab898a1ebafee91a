"""An assembled image is an OCI image layout: every digest holds, and it says that it is a local build."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tools.cluster.oci import Image, write

REFERENCE = "docker.io/grafana/loki:3.7.8"


@pytest.fixture
def layout(tmp_path: Path) -> dict[str, bytes]:
    """The files of an image with one of everything, by path."""
    (tmp_path / "program").write_bytes(b"\x7fELF")
    (tmp_path / "program").chmod(0o700)
    (tmp_path / "tree/usr/lib").mkdir(parents=True)
    (tmp_path / "tree/usr/lib/library.so").write_bytes(b"library")
    image = Image(
        ("/usr/bin/loki",),
        user=10001,
        workdir="/loki",
        files={"/usr/bin/loki": tmp_path / "program"},
        texts={"/etc/loki.yaml": "a: 1\n"},
        links={"/bin/loki": "/usr/bin/loki"},
        folders=("/loki",),
        tree=tmp_path / "tree",
    )
    write(image, REFERENCE, "amd64", tmp_path / "image.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.tar", "program", "tree"], "work files are left"
    with tarfile.open(tmp_path / "image.tar") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def follow(layout: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """The blob of a descriptor, after a check of its digest and size."""
    content = layout[f"blobs/{descriptor['digest'].replace(':', '/')}"]
    assert hashlib.sha256(content).hexdigest() == descriptor["digest"].removeprefix("sha256:")
    assert len(content) == descriptor["size"]
    return content


def test_index_manifest_config_and_layer_hang_together(layout: dict[str, bytes]) -> None:
    assert json.loads(layout["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(layout["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == REFERENCE
    manifest = json.loads(follow(layout, entry))
    config = json.loads(follow(layout, manifest["config"]))
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert config["config"]["Labels"] == {"observability.local-build": "true"}
    assert config["config"]["User"] == "10001:10001"
    assert config["config"]["Entrypoint"] == ["/usr/bin/loki"]


def test_the_layer_has_program_users_certificates_and_writable_folders(layout: dict[str, bytes]) -> None:
    (entry,) = json.loads(layout["index.json"])["manifests"]
    layer = follow(layout, json.loads(follow(layout, entry))["layers"][0])
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        members = {member.name: member for member in tar}
        passwd = tar.extractfile("etc/passwd")
        assert passwd is not None
        assert "app:x:10001:10001:" in passwd.read().decode()
    assert (members["usr/bin/loki"].mode, members["usr/bin/loki"].uid) == (0o755, 0)
    assert members["bin/loki"].linkname == "/usr/bin/loki"
    assert members["etc/ssl/certs/ca-certificates.crt"].size > 0
    assert members["loki"].uid == 10001
    assert members["tmp"].mode == 0o1777
    assert "./usr/lib/library.so" in members
