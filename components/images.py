"""Image references of a stack: by tag, or by tag and digest where the stack file requires digests.

Digests stand in images.lock, which `make pin-images` writes from the registries' own answers.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from components.versions import IMAGES
from settings import Settings, SettingsError
from settings.cluster import Distribution

LOCK = Path(__file__).parent.parent / "images.lock"
WHERE = "observability:security.requireDigests"
LINE = re.compile(r"^(?P<reference>\S+:\S+) (?P<digest>sha256:[0-9a-f]{64})$")
OPTIONAL: dict[str, Callable[[Settings], bool]] = {
    "alloy": lambda settings: settings.log_agent.program == "alloy" or settings.events.mode == "deploy",
    "promtail": lambda settings: settings.log_agent.program == "promtail",
    "dcgm-exporter": lambda settings: settings.dcgm.mode == "deploy",
    "grafana": lambda settings: settings.grafana.enabled,
    "minio": lambda settings: settings.loki.storage.type == "minio",
    "k8s-sidecar": lambda settings: settings.grafana.enabled,
    "cloudflared": lambda settings: settings.cloudflare_tunnel.mode == "deploy",
    "postgres-exporter": lambda settings: settings.exporters.postgresql.mode == "deploy",
    "mosquitto-exporter": lambda settings: settings.exporters.mosquitto.mode == "deploy",
    "sql-exporter": lambda settings: settings.exporters.teslamate.mode == "deploy",
}
"""Images that only some stacks run, and which. Every other one of the table belongs to each stack."""


def read_lock(path: Path) -> dict[str, str]:
    """Digest of each reference in a lock file; empty where there is no file.

    Raises SettingsError for a line that `make pin-images` would not have written.
    """
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match = LINE.match(line)
        if match is None:
            raise SettingsError(
                f"{path.name}:{number}: is no reference with a digest; write the file anew: make pin-images"
            )
        found[match["reference"]] = match["digest"]
    return found


@cache
def _lock() -> dict[str, str]:
    return read_lock(LOCK)


def needed(settings: Settings) -> list[str]:
    """Names of the images that the stack runs, as they stand in the table of versions."""
    return [name for name in IMAGES if name not in OPTIONAL or OPTIONAL[name](settings)]


def check(settings: Settings) -> None:
    """Raises SettingsError where the stack requires digests and cannot have them, with every image that lacks one."""
    if not settings.security.require_digests:
        return
    if settings.cluster.distribution is Distribution.LOCAL:
        raise SettingsError(f"{WHERE}: images of the local cluster may be built on this machine; remove the setting")
    _check(needed(settings))


def _check(names: Iterable[str]) -> None:
    missing = [IMAGES[name].reference for name in names if IMAGES[name].reference not in _lock()]
    if missing:
        raise SettingsError(
            f"{WHERE}: {LOCK.name} has no digest of {', '.join(missing)}; run `make pin-images` where the registries "
            "answer, and commit the file"
        )


def digest(name: str, settings: Settings) -> str:
    """Digest `sha256:...` of an image of the table; empty where the stack does not require digests.

    Raises SettingsError where the lock has none: tools ask for images that the stack itself does not run.
    """
    if not settings.security.require_digests:
        return ""
    _check([name])
    return _lock()[IMAGES[name].reference]


def sha(name: str, settings: Settings) -> str:
    """The digest without its algorithm, for charts that write `sha256:` themselves."""
    return digest(name, settings).removeprefix("sha256:")


def reference(name: str, settings: Settings) -> str:
    """Reference of an image of the table as a pod spec writes it: `repository:tag` or `repository:tag@digest`."""
    pinned = digest(name, settings)
    return IMAGES[name].reference + (f"@{pinned}" if pinned else "")
