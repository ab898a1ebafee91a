"""What the checks of dashboards need of a PromQL query beyond `tests.rules.promql`."""

from collections.abc import Iterator
from typing import Any

import promql_parser

from tests.rules.promql import selectors

COUNTING = frozenset({"rate", "irate", "increase", "resets", "changes"})


def metrics(query: str) -> set[str]:
    """Names of the metrics that a query reads."""
    return {selector.metric for selector in selectors(query)}


def matchers(query: str) -> list[tuple[str, dict[str, str]]]:
    """Each metric with its matchers, label name to value, whatever the operator."""
    return [(one.metric, {matcher.label: matcher.value for matcher in one.matchers}) for one in selectors(query)]


def uncounted(query: str) -> set[str]:
    """Metrics that are read outside of rate, increase and the like."""
    return {name for name, around in _metrics(promql_parser.parse(query)) if not COUNTING & set(around)}


def _metrics(node: Any, functions: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each metric with the functions around it, from the outside to the inside."""
    if isinstance(node, promql_parser.VectorSelector):
        yield str(node.name), functions
    inside = (*functions, node.func.name) if isinstance(node, promql_parser.Call) else functions
    children = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "param", "vector_selector")]
    for child in [*children, *getattr(node, "args", [])]:
        if child is not None:
            yield from _metrics(child, inside)
