"""Alloy's configuration language, as far as our configurations use it: blocks, attributes and references."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

INDENT = "  "


@dataclass(frozen=True)
class Reference:
    """An expression that Alloy evaluates, such as `loki.write.default.receiver`."""

    expression: str


@dataclass(frozen=True)
class Block:
    """A block: its name, its label where it is a component, its attributes and the blocks inside."""

    name: str
    label: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    blocks: Sequence["Block"] = ()


def text(blocks: Sequence[Block]) -> str:
    """The blocks as the text of a configuration file."""
    return "\n".join("\n".join(_lines(block, "")) + "\n" for block in blocks)


def _lines(block: Block, indent: str) -> list[str]:
    label = f' "{block.label}"' if block.label else ""
    head = f"{indent}{block.name}{label} {{"
    if not block.attributes and not block.blocks:
        return [f"{head} }}"]
    inner = indent + INDENT
    attributes = [f"{inner}{key} = {_value(value)}" for key, value in block.attributes.items()]
    return [head, *attributes, *(line for child in block.blocks for line in _lines(child, inner)), f"{indent}}}"]


def _value(value: Any) -> str:
    match value:
        case Reference():
            return value.expression
        case Mapping():
            return "{" + ", ".join(f"{json.dumps(key)} = {_value(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_value(item) for item in value) + "]"
        case _:
            # Strings, numbers and booleans are written as in JSON.
            return json.dumps(value, ensure_ascii=False)


# Promtail's stages have other names in Alloy only here; all others, and their fields, are called the same.
_LISTS = {"labelallow": "label_keep", "labeldrop": "label_drop"}


def stages(pipeline: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Promtail's pipeline stages as those of `loki.process`, which is made from Promtail's code."""
    return [_stage(name, content) for stage in pipeline for name, content in stage.items()]


def _stage(name: str, content: Any) -> Block:
    if name in _LISTS:
        return Block(f"stage.{_LISTS[name]}", attributes={"values": content})
    if name in ("static_labels", "structured_metadata"):
        return Block(f"stage.{name}", attributes={"values": content})
    attributes = {key: value for key, value in content.items() if key != "stages"}
    return Block(f"stage.{name}", attributes=attributes, blocks=stages(content.get("stages", [])))
