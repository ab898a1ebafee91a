"""What the tests need to know of a LogQL expression. There is no parser for Python; `lokitool` checks the syntax."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from settings.base import seconds

_SELECTOR = re.compile(r"\{((?:\s*\w+\s*(?:=~|!~|!=|=)\s*\"[^\"]*\"\s*,?)+)\}")
_MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
_RANGE = re.compile(r"\[(\d+[smhd])\]")


@dataclass(frozen=True)
class Matcher:
    """One matcher of a stream selector; `op` is =, !=, =~ or !~."""

    label: str
    op: str
    value: str


def selectors(expr: str) -> list[list[Matcher]]:
    """The stream selectors of an expression."""
    return [[Matcher(*found) for found in _MATCHER.findall(text)] for text in _SELECTOR.findall(expr)]


def windows(expr: str) -> list[int]:
    """The ranges of an expression, in seconds."""
    return [seconds(text) for text in _RANGE.findall(expr)]


def is_broad(selector: list[Matcher]) -> bool:
    """Whether nothing in the selector names one value: it then reads streams of any number of containers."""
    return not any(matcher.op == "=" for matcher in selector)


def refused(expr: str) -> Iterator[tuple[str, str]]:
    """Yields (label, value) of streams that a selector of the expression must not take."""
    for selector in selectors(expr):
        for matcher in selector:
            if matcher.op == "=":
                yield matcher.label, f"other-{matcher.value}"
            elif matcher.op == "!~":
                for value in re.sub(r"\.\*|[()]", "", matcher.value).split("|"):
                    yield matcher.label, value
