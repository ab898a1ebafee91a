"""Defaults that stacks share: with `observability:environment: prod` those of environments/prod.yaml lie beneath."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from settings import strict_yaml

FOLDER = Path(__file__).parent / "environments"
PREFIX = "observability:"
OF_ONE_CLUSTER = ("name", "context", "kubeconfig", "identifier")
"""Keys of `cluster` that no two stacks may share."""
KINDS = ("type", "kind", "module")
"""Keys that say what a mapping is: of another kind, nothing of the shared one fits."""


def place(name: str) -> str:
    """The file of an environment, as messages name it."""
    return f"settings/environments/{name}.yaml"


def load(name: object, folder: Path = FOLDER) -> dict[str, Any]:
    """The sections of an environment by their names. Raises ValueError where none can be used."""
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known) or 'none'}"
        raise ValueError(f"{name!r} is no file of settings/environments{hint}")
    where = place(str(name))
    try:
        content = strict_yaml.read(folder / f"{name}.yaml")
    except strict_yaml.StrictYamlError as error:
        raise ValueError(f"{where}: {error}") from None
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, dict):
        raise ValueError(f"{where}: has no `config:` with the keys of a stack file")
    sections = {str(key).removeprefix(PREFIX): value for key, value in config.items()}
    cluster = sections.get("cluster")
    own = [key for key in OF_ONE_CLUSTER if isinstance(cluster, dict) and key in cluster]
    if own or "environment" in sections:
        key = f"cluster.{own[0]}" if own else "environment"
        raise ValueError(f"{where}: {PREFIX}{key} belongs into each stack file; remove it here")
    secret = [key for key, value in sections.items() if isinstance(value, dict) and set(value) == {"secure"}]
    if secret:
        raise ValueError(f"{where}: {PREFIX}{secret[0]} is a secret, encrypted for one stack; set it in each")
    return sections


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`, mapping by mapping. Lists and values replace; null takes a shared value away.

    A mapping of another kind (`storage: {type: s3}` over `{type: filesystem}`) replaces as well.
    """
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if value is None and key in below:
            del result[key]
        elif isinstance(value, Mapping) and isinstance(old, Mapping) and not _of_another_kind(old, value):
            result[key] = merge(old, value)
        else:
            result[key] = value
    return result


def _of_another_kind(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return any(key in old and key in new and old[key] != new[key] for key in KINDS)


def origin(path: Sequence[str | int], file: str, above: Any, name: str | None, below: Any) -> str:
    """The file, or both, that a value of the merged settings came from."""
    if name is None or not _has(below, path):
        return file
    if not _has(above, path):
        return place(name)
    # A mapping that both files fill: the mistake may lie between them.
    return f"{file} over {place(name)}" if isinstance(_at(above, path), Mapping) else file


def _has(value: Any, path: Sequence[str | int]) -> bool:
    return _at(value, path) is not None


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value
