"""Assembles a container image from files of this machine: an OCI image layout in one tar, with one layer.

The format is that of https://github.com/opencontainers/image-spec (image-layout.md, config.md).
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.console import UserError

LOCAL_BUILD_LABEL = "observability.local-build"
CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """What goes into an image.

    `files` maps a path in the image to a file here, `texts` a path to its content, `links` a path to what it points
    to; `tree` is a folder whose whole content goes in; `folders` are made writable for `user` (a numeric user id,
    also used as group id).
    """

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: int = 0
    workdir: str = "/"
    files: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    tree: Path | None = None


def write(image: Image, reference: str, architecture: str, target: Path) -> None:
    """Write the image as a tar that `ctr images import` takes, labelled as a local build."""
    layer = target.with_suffix(".layer")
    try:
        with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as tar:
            _fill(tar, image)
        with tarfile.open(target, "w") as tar:
            with layer.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            tar.add(layer, f"blobs/sha256/{digest}")
            descriptor = {"digest": f"sha256:{digest}", "size": layer.stat().st_size}
            _add_metadata(tar, image, reference, architecture, descriptor)
    finally:
        layer.unlink(missing_ok=True)


def _add_metadata(tar: tarfile.TarFile, image: Image, reference: str, architecture: str, layer: dict[str, Any]) -> None:
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": f"{image.user}:{image.user}",
            "Entrypoint": list(image.entrypoint),
            "Cmd": list(image.command),
            "WorkingDir": image.workdir,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Labels": {LOCAL_BUILD_LABEL: "true"},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    kind = "application/vnd.oci.image"
    layers = [{"mediaType": f"{kind}.layer.v1.tar", **layer}]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": {"mediaType": f"{kind}.config.v1+json", **_add_blob(tar, config)},
        "layers": layers,
    }
    names = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference.rpartition(":")[2]}
    entry = {"mediaType": f"{kind}.manifest.v1+json", "annotations": names, **_add_blob(tar, manifest)}
    _add_text(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    _add_text(tar, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}))


def _fill(tar: tarfile.TarFile, image: Image) -> None:
    """Add the layer's content: what every image has, then what this one wants."""
    _add_folder(tar, "tmp", 0, 0o1777)
    for folder in image.folders:
        _add_folder(tar, folder.strip("/"), image.user, 0o755)
    if image.tree:
        tar.add(image.tree, ".", filter=_owned_by_root)
    for path, source in image.files.items():
        tar.add(source.resolve(), path.strip("/"), filter=_owned_by_root)
    for path, points_to in image.links.items():
        link = tarfile.TarInfo(path.strip("/"))
        link.type, link.linkname = tarfile.SYMTYPE, points_to
        tar.addfile(link)
    users = ["root:x:0:0:root:/root:/sbin/nologin", "nobody:x:65534:65534:nobody:/:/sbin/nologin"]
    groups = ["root:x:0:", "nobody:x:65534:"]
    if image.user not in {0, 65534}:
        users.append(f"app:x:{image.user}:{image.user}:app:/:/sbin/nologin")
        groups.append(f"app:x:{image.user}:")
    bundle = next((Path(path) for path in CA_BUNDLES if Path(path).exists()), None)
    if bundle is None:
        raise UserError(f"no CA certificates found ({', '.join(CA_BUNDLES)}); install the package ca-certificates.")
    texts = {"/etc/passwd": "\n".join(users) + "\n", "/etc/group": "\n".join(groups) + "\n", **image.texts}
    for path, text in {**texts, "/etc/ssl/certs/ca-certificates.crt": bundle.read_text()}.items():
        _add_text(tar, path.strip("/"), text)


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    if entry.isfile() and entry.mode & 0o100:
        entry.mode = 0o755
    return entry


def _add_folder(tar: tarfile.TarFile, path: str, owner: int, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, owner, owner
    tar.addfile(entry)


def _add_text(tar: tarfile.TarFile, path: str, text: str) -> None:
    content = text.encode()
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _add_blob(tar: tarfile.TarFile, content: dict[str, Any]) -> dict[str, Any]:
    """Add a JSON blob and return the digest and size by which others refer to it."""
    text = json.dumps(content)
    digest = hashlib.sha256(text.encode()).hexdigest()
    _add_text(tar, f"blobs/sha256/{digest}", text)
    return {"digest": f"sha256:{digest}", "size": len(text.encode())}
