"""Recognisable values for secrets, and the search for them in plain, base64 and gzip and in these within each other."""

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tools.cluster.pki import Authority

BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
DEPTH = 4
"""So often one encoding may lie within another."""
LOKI_WITH_KEYS = {
    "replicas": 1,
    "storage": {
        "type": "s3",
        "bucket": "logs",
        "region": "eu-central-1",
        "accessKeyIdSecret": "accessKey",
        "secretAccessKeySecret": "secretKey",
    },
}
"""Section `loki` with the keys of a bucket: the tracked stacks have none."""


def planted(name: str, _length: int = 0) -> str:
    """The recognisable value of a secret."""
    return f"planted-{name}-Zq7Xw9Kv3"


@cache
def certificate() -> str:
    """The certificate (PEM) of an authority made for the tests."""
    with TemporaryDirectory(prefix="authority-") as folder:
        Authority(Path(folder))
        return (Path(folder) / "ca.crt").read_text()


def planted_ca(name: str) -> str:
    """The same for a secret that has to be a certificate: the text stands before it."""
    return f"{planted(name)}\n{certificate()}"


def views(data: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """The data itself, and whatever base64 and gzip within it unpack to."""
    yield data
    if depth == 0:
        return
    for start in (match.start() for match in re.finditer(b"\x1f\x8b\x08", data)):
        try:
            yield from views(zlib.decompressobj(31).decompress(data[start:]), depth - 1)
        except zlib.error:
            continue
    for match in BASE64.finditer(data.decode("utf-8", "replace")):
        text = match.group().replace("-", "+").replace("_", "/").rstrip("=")
        # A text within a longer run starts at one of four places.
        for shift in range(4):
            part = text[shift:]
            part = part[: len(part) - (len(part) % 4 == 1)]
            unpacked = base64.b64decode(part + "=" * (-len(part) % 4))
            if unpacked.startswith(b"\x1f\x8b") or b"planted-" in unpacked or unpacked.isascii():
                yield from views(unpacked, depth - 1)


def hits(value: Any, secrets: Mapping[str, str]) -> set[str]:
    """Names of the secrets that the value carries in any of these forms."""
    data = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    seen = b"\n".join(views(data))
    return {name for name, secret in secrets.items() if secret.encode() in seen}
