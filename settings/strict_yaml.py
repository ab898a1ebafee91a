"""YAML that people write, read strictly: no key twice, no text that grows when it is read, no surprise in between."""

from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 2_000_000
"""The largest file of ours is a tenth of it."""
MAX_NODES = 200_000
"""Values of a document, those behind aliases counted wherever they are used."""

MAX_DEPTH = 100
DEEP = f"is nested too deeply: more than {MAX_DEPTH} levels"


class StrictYamlError(ValueError):
    """A file is no YAML, or none that is fit to be used. The message says what is wrong, and where."""


class _Loader(yaml.SafeLoader):
    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        # The scanner's time grows with the square of the depth: five thousand brackets would take minutes.
        if self.flow_level >= MAX_DEPTH:
            raise StrictYamlError(DEEP)
        super().fetch_flow_collection_start(token)

    def add_indent(self, column: int) -> bool:
        if len(self.indents) >= MAX_DEPTH:
            raise StrictYamlError(DEEP)
        return bool(super().add_indent(column))

    def compose_document(self) -> yaml.Node | None:
        node = super().compose_document()
        if node is not None and _size(node, {}, set()) > MAX_NODES:
            raise StrictYamlError(f"its aliases make more than {MAX_NODES} values of it; write out what is meant")
        return node


def _size(node: yaml.Node, known: dict[int, int], above: set[int]) -> int:
    """Values in a node, each alias counted anew."""
    if id(node) in above:
        raise StrictYamlError("an alias stands within what it stands for; write out what is meant")
    if id(node) not in known:
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        known[id(node)] = 1 + sum(_size(part, known, above | {id(node)}) for part in inner)
    return known[id(node)]


def _unique(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key is a list or a mapping", key.start_mark)
        if key.value in seen:
            # YAML would keep the last one silently.
            raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
        seen.add(key.value)
    loader.flatten_mapping(node)
    return dict(loader.construct_mapping(node, deep=True))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique)


def read(path: Path) -> Any:
    """Content of a YAML file of one document.

    Raises StrictYamlError for what is wrong with it, and OSError where it cannot be opened.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise StrictYamlError(f"has {size} bytes; {MAX_BYTES} are the most that is read")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except StrictYamlError:
        raise
    except UnicodeDecodeError as error:
        raise StrictYamlError(f"is not UTF-8: {error.reason} at byte {error.start}") from None
    except (yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError, TypeError) as error:
        # A date of the 13th month, a number of a million digits, a tag over what it cannot be (`!!bool x`): readable as
        # YAML, but no value.
        raise StrictYamlError(f"is not readable as YAML: {error}") from None
