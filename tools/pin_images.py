"""`make pin-images`: asks each registry for the digest of every image of the table, and writes images.lock.

It speaks the registry's own interface (version 2, HEAD of a manifest) without credentials. A digest that a registry
did not answer is never written; that of a tag that was moved replaces the old one only with `--moved`.
"""

import argparse
import http.client
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from components.images import LOCK, read_lock
from components.versions import IMAGES
from tools.console import UserError, progress, run, say

HEAD = "# Digest of each image, as its registry answered. Written by `make pin-images`, never by hand.\n"
MANIFESTS = ", ".join(
    (
        # Indexes first: the digest of one platform's manifest would bind a stack to that platform.
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
HOSTS = {"docker.io": "registry-1.docker.io"}
"""Registries whose address is not their name."""
LOCAL = re.compile(r"^(127\.0\.0\.1|localhost)(:\d+)?$")
SECONDS = 20


class RegistryError(Exception):
    """A registry does not answer, or not with a digest."""


@dataclass
class Pins:
    """Digests by reference, and what is worth saying about them."""

    digests: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """References without an answer, and why."""
    moved: dict[str, tuple[str, str]] = field(default_factory=dict)
    """References whose digest is another one than in the lock: before and now."""


def digest(reference: str) -> str:
    """The digest that the registry gives for `registry/repository:tag`.

    Raises RegistryError with the reason where there is none.
    """
    registry, _, rest = reference.partition("/")
    repository, _, tag = rest.rpartition(":")
    scheme = "http" if LOCAL.match(registry) else "https"
    url = f"{scheme}://{HOSTS.get(registry, registry)}/v2/{repository}/manifests/{tag}"
    try:
        try:
            found = _head(url)
        except urllib.error.HTTPError as error:
            if error.code != http.client.UNAUTHORIZED:
                raise
            found = _head(url, _token(error.headers.get("WWW-Authenticate", "")))
    except urllib.error.HTTPError as error:
        raise RegistryError(f"answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RegistryError(str(getattr(error, "reason", error))) from None
    if not DIGEST.match(found):
        raise RegistryError(f"gives no digest, but {found!r}")
    return found


def _head(url: str, token: str | None = None) -> str:
    request = urllib.request.Request(url, method="HEAD", headers={"Accept": MANIFESTS})  # noqa: S310
    if token:
        # Not to a host that the registry redirects to.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 (https, or this machine)
        return str(answer.headers.get("Docker-Content-Digest", ""))


def _token(challenge: str) -> str:
    scheme, _, rest = challenge.partition(" ")
    wanted = dict(CHALLENGE.findall(rest))
    if scheme.lower() != "bearer" or "realm" not in wanted:
        raise RegistryError("asks for credentials; only public images and anonymous tokens are supported")
    realm = urllib.parse.urlsplit(wanted.pop("realm"))
    if realm.scheme != "https" and not LOCAL.match(realm.netloc):
        raise RegistryError(f"sends for a token to {realm.geturl()}, which is not https")
    query = urllib.parse.urlencode({key: wanted[key] for key in ("service", "scope") if key in wanted})
    with urllib.request.urlopen(f"{realm.geturl()}?{query}", timeout=SECONDS) as answer:  # noqa: S310 (checked above)
        content = json.load(answer)
    token = content.get("token") or content.get("access_token") if isinstance(content, dict) else None
    if not isinstance(token, str):
        raise RegistryError("gives no token")
    return token


def pin(references: Iterable[str], before: Mapping[str, str], *, accept_moved: bool = False) -> Pins:
    """Ask for every reference. One without an answer keeps the digest that it has `before`."""
    pins = Pins()
    for reference in references:
        old = before.get(reference)
        try:
            now = digest(reference)
        except RegistryError as error:
            pins.failed[reference] = str(error)
            now = old or ""
        if old and now != old:
            pins.moved[reference] = (old, now)
            now = now if accept_moved else old
        if now:
            pins.digests[reference] = now
    return pins


def write(path: Path, digests: Mapping[str, str]) -> None:
    """Write the lock file as a whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(HEAD + "".join(f"{key} {digests[key]}\n" for key in sorted(digests)), encoding="utf-8")
    partial.replace(path)


def pin_images(references: Iterable[str], path: Path, *, accept_moved: bool = False) -> Pins:
    """Write the lock file at `path` for the references, and say what happened.

    Raises UserError where an image has no digest, or a tag was moved and that is not accepted.
    """
    with progress("asking the registries"):
        pins = pin(references, read_lock(path), accept_moved=accept_moved)
    if pins.digests:
        write(path, pins.digests)
        say(f"{path.name}: {len(pins.digests)} digests")
    for reference, (old, new) in pins.moved.items():
        say(f"MOVED: {reference} was {old} and is {new}")
    mistakes = []
    if pins.moved and not accept_moved:
        mistakes.append("A tag that moves is another image under the same name; look at it, then run with MOVED=1.")
    if pins.failed:
        reasons = "\n".join(f"  {reference}: {reason}" for reference, reason in pins.failed.items())
        kept = "" if not pins.digests else " The digests of the others are written."
        mistakes.append(f"No answer for {len(pins.failed)} images:\n{reasons}\nTry again where they answer.{kept}")
    if mistakes:
        raise UserError("\n".join(mistakes))
    return pins


def main() -> None:
    """Pin every image of components/versions.py."""
    parser = argparse.ArgumentParser(prog="python -m tools.pin_images", description=__doc__)
    parser.add_argument("--moved", action="store_true", help="take the new digest of a tag that was moved")
    arguments = parser.parse_args()
    pin_images([image.reference for image in IMAGES.values()], LOCK, accept_moved=arguments.moved)


if __name__ == "__main__":
    run(main)
