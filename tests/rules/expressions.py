"""Numbers and texts in cases: `{threshold * 1.02}` in series, `${threshold}` and `{percent(load)}` in texts.

The functions say a number as the template functions of Prometheus do (template/template.go of Prometheus), so that a
text of a case shows what a person will read.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping

_BRACES = re.compile(r"(?<!\$)(?<!\{)\{([^{}\"=]+?)(?::(\.\d+f))?\}(?!\})")
_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
}


def _go_precision4(value: float) -> str:
    return f"{value:.4g}"


def percent(ratio: float) -> str:
    """`humanizePercentage`: 0.9231 is 92.31%."""
    return f"{_go_precision4(ratio * 100)}%"


def duration(value: float) -> str:
    """`humanizeDuration`: 3725 is 1h 2m 5s, 2.5 is 2.5s."""
    if value < 0:
        return f"-{duration(-value)}"
    if value < 1:
        return f"{_go_precision4(value * 1000)}ms" if value else "0s"
    whole = int(value)
    rest = whole
    parts: list[str] = []
    for size, letter in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or parts or letter == "s":
            parts.append(f"{count}{letter}")
    return " ".join(parts) if len(parts) > 1 else f"{_go_precision4(value)}s"


def short(value: float) -> str:
    """`humanize`: 1234567 is 1.235M, 0.0012 is 1.2m."""
    if value == 0 or not math.isfinite(value):
        return _go_precision4(value)
    if abs(value) >= 1:
        for prefix in ("", "k", "M", "G", "T"):
            if abs(value) < 1000:
                return f"{_go_precision4(value)}{prefix}"
            value /= 1000
        return f"{_go_precision4(value)}P"
    for prefix in ("", "m", "u", "n", "p"):
        if abs(value) >= 1:
            return f"{_go_precision4(value)}{prefix}"
        value *= 1000
    return f"{_go_precision4(value)}f"


def binary(value: float) -> str:
    """`humanize1024`: 1610612736 is 1.5Gi."""
    for prefix in ("", "ki", "Mi", "Gi", "Ti"):
        if abs(value) < 1024:
            return f"{_go_precision4(value)}{prefix}"
        value /= 1024
    return f"{_go_precision4(value)}Pi"


_FUNCTIONS: dict[str, Callable[[float], str]] = {
    "percent": percent,
    "duration": duration,
    "short": short,
    "binary": binary,
}


def calculate(text: str, values: Mapping[str, float]) -> float | str:
    """Value of an arithmetic expression over `values`, or the text that one of the functions makes of it.

    Raises ValueError for anything but numbers, names, + - * / and the four functions.
    """
    return _node(ast.parse(text.strip(), mode="eval").body, values)


def number(text: str | int | float, values: Mapping[str, float]) -> float:
    """As `calculate`, for a number only."""
    result = calculate(str(text), values)
    if isinstance(result, str):
        raise ValueError(f"{text!r} is a text, not a number")
    return result


def _node(node: ast.AST, values: Mapping[str, float]) -> float | str:
    match node:
        case ast.Constant(value=int() | float() as constant):
            return constant
        case ast.Name(id=name):
            if name not in values:
                raise ValueError(f"{name!r} is no value of this case; known are {', '.join(values)}")
            return values[name]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_node(operand, values))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_node(left, values), _node(right, values))
        case ast.Call(func=ast.Name(id=name), args=[argument]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](float(_node(argument, values)))
        case _:
            raise ValueError(f"cannot calculate {ast.unparse(node)!r}")


def plain(value: float) -> str:
    """A number as promtool reads it in a series."""
    return str(int(value)) if value == int(value) else repr(round(value, 9))


def fill_numbers(text: str, values: Mapping[str, float]) -> str:
    """Replaces `{expression}` in the values of a series."""
    return _BRACES.sub(lambda match: plain(number(match[1], values)), text)


def fill_text(text: str, words: Mapping[str, str], values: Mapping[str, float]) -> str:
    """Replaces `${word}` by the words of the rule, and `{expression}` or `{expression:.1f}` by numbers."""

    def say(match: re.Match[str]) -> str:
        result = calculate(match[1], values)
        if isinstance(result, str):
            return result
        return format(result, match[2]) if match[2] else plain(result)

    text = re.sub(r"\$\{(\w+)\}", lambda match: words[match[1]], text)
    return _BRACES.sub(say, text)
