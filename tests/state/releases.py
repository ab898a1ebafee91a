"""The lists of the last release, and the identities that resources had then."""

from collections.abc import Iterable
from pathlib import Path

from tools.resources import FOLDER, STACK, identity
from tools.synth import Resource


def last_release() -> Path:
    """Folder of the latest release's lists."""
    folders = [path for path in FOLDER.iterdir() if path.is_dir() and path.name[0].isdigit()]
    return max(folders, key=lambda path: [int(part) for part in path.name.split(".")])


def former(resources: Iterable[Resource]) -> set[str]:
    """Every identity that the resources have or, by their aliases and those of their parents, had."""
    found: dict[str, set[str]] = {}
    for resource in resources:
        # A parent is registered before its children.
        own = {(resource.name, resource.type, resource.parent)}
        own |= {
            (alias.name or resource.name, alias.type or resource.type, alias.parent or resource.parent)
            for alias in resource.aliases
        }
        found[resource.urn] = {
            f"{types}{kind}::{name}"
            for name, kind, parent in own
            for types in _types(found.get(parent) or ({identity(parent)} if parent else set()))
        }
    return {item for items in found.values() for item in items}


def _types(parents: set[str]) -> set[str]:
    # The mocks name one parent's type, and that of the stack itself counts for nothing.
    found = {parent.split("::")[0].rsplit("$", 1)[-1] for parent in parents} - {STACK}
    return {f"{kind}$" for kind in found} or {""}
