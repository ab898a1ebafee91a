"""Per-stack tuning of alert expressions.

A line of an expression that may be tuned ends in `# tune <name> <unit>`; the last number before the comment is what a
stack may replace. Everything here is pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from settings.base import amount, seconds

_MARK = re.compile(r"#\s*tune\s+(?P<name>[a-z][A-Za-z0-9]*)\s+(?P<unit>[a-z_]+)\s*$")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_SUFFIXED = {"percent": "%", "ratio": "%", "celsius": "C", "watt": "W", "per_second": "/s"}
_EXAMPLES = {
    "percent": "85%",
    "ratio": "25%",
    "celsius": "85C",
    "watt": "350W",
    "per_second": "0.5/s",
    "seconds": "10m",
    "days": "14d",
    "bytes": "2Gi",
    "count": "5",
}
UNITS = frozenset(_EXAMPLES)
_HUMAN = {"percent": " %", "ratio": " %", "celsius": " °C", "watt": " W", "per_second": "/s"}


@dataclass(frozen=True)
class Tunable:
    """A number of an expression that a stack may replace: its name, unit and value in that unit."""

    name: str
    unit: str
    value: float


def tunables(expr: str) -> dict[str, Tunable]:
    """All tunable numbers of an expression by name.

    Raises ValueError where a mark has no number before it, an unknown unit, or a name that is used twice.
    """
    found: dict[str, Tunable] = {}
    for line in expr.splitlines():
        mark = _MARK.search(line)
        if mark is None:
            if re.search(r"#\s*tune\b", line):
                raise ValueError(f"cannot read the mark in {line.strip()!r}; write `# tune <name> <unit>`")
            continue
        numbers = _NUMBER.findall(line[: mark.start()])
        name, unit = mark["name"], mark["unit"]
        if not numbers:
            raise ValueError(f"has no plain number before `# tune {name}`")
        if unit not in UNITS:
            raise ValueError(f"`# tune {name}` has unit {unit}; known are {', '.join(sorted(UNITS))}")
        if name in found:
            raise ValueError(f"marks {name} twice")
        found[name] = Tunable(name, unit, float(numbers[-1]))
    return found


def tune(expr: str, values: Mapping[str, float]) -> str:
    """The expression with the named numbers replaced; names without a mark are ignored."""
    return "\n".join(_tune_line(line, values) for line in expr.splitlines()) + ("\n" if expr.endswith("\n") else "")


def _tune_line(line: str, values: Mapping[str, float]) -> str:
    mark = _MARK.search(line)
    if mark is None or mark["name"] not in values:
        return line
    last = list(_NUMBER.finditer(line[: mark.start()]))[-1]
    return f"{line[: last.start()]}{plain(values[mark['name']])}{line[last.end() :]}"


def plain(value: float) -> str:
    """A number as PromQL and people write it, without exponent or trailing zeros."""
    return str(int(value)) if value == int(value) else f"{value:.10f}".rstrip("0")


def parse_value(given: str | int | float, unit: str) -> float:
    """Number in `unit` of what a stack file says, such as `85%`, `10m` or `2Gi`.

    Raises ValueError with an example where the unit is missing or wrong.
    """
    text = str(given).replace(" ", "").replace("°", "")
    wrong = ValueError(f"{given!r} is not in {unit.replace('_', ' ')}; write for example {_EXAMPLES[unit]}")
    try:
        if unit == "seconds":
            return float(seconds(text))
        if unit == "days":
            return seconds(text) / 86400
        if unit == "bytes":
            if text.isdigit():
                raise wrong
            return amount(text)
        suffix = _SUFFIXED.get(unit, "")
        if not text.endswith(suffix):
            raise wrong
        number = float(text.removesuffix(suffix))
    except ValueError:
        raise wrong from None
    if unit == "percent" and not 0 <= number <= 100:
        raise ValueError(f"{given!r} is outside 0% to 100%")
    return number / 100 if unit == "ratio" else number


def human(value: float, unit: str) -> str:
    """A value as a message says it: `80 %`, `10m`, `1 GiB`."""
    if unit in {"seconds", "days"}:
        return _human_seconds(value * (86400 if unit == "days" else 1))
    if unit == "bytes":
        return _human_bytes(value)
    return f"{plain(round(value * 100, 6) if unit == 'ratio' else value)}{_HUMAN.get(unit, '')}"


def _human_seconds(value: float) -> str:
    if value != int(value):
        return f"{plain(value)}s"
    rest, parts = int(value), []
    for size, letter in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{letter}")
    return "".join(parts) or "0s"


def _human_bytes(value: float) -> str:
    for size, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= size:
            return f"{plain(round(value / size, 2))} {name}"
    return f"{plain(value)} B"
