"""What a PromQL expression names: metrics, matchers, labels, by its syntax tree."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser


@dataclass(frozen=True)
class Matcher:
    """One label matcher; `op` is =, !=, =~ or !~."""

    label: str
    op: str
    value: str


@dataclass(frozen=True)
class Selector:
    """A metric with its matchers."""

    metric: str
    matchers: tuple[Matcher, ...]


_OPS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_CHILDREN = ("lhs", "rhs", "expr", "param", "vector_selector")


def nodes(expr: str) -> Iterator[Any]:
    """Every node of the syntax tree."""
    waiting = [promql_parser.parse(expr)]
    while waiting:
        node = waiting.pop(0)
        yield node
        waiting += [child for name in _CHILDREN if (child := getattr(node, name, None)) is not None]
        waiting += list(getattr(node, "args", []))


def selectors(expr: str) -> list[Selector]:
    """All selectors, in the order of the tree."""
    return [_selector(node) for node in nodes(expr) if isinstance(node, promql_parser.VectorSelector)]


def _selector(node: Any) -> Selector:
    matchers = [
        Matcher(matcher.name, _OPS[str(matcher.op).rsplit(".", 1)[-1]], matcher.value)
        for matcher in node.matchers.matchers
    ]
    return Selector(str(node.name), tuple(matchers))
