"""Series of a case: `metric{label="value"} values` with target labels filled in and values written out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.rules.expressions import fill_numbers, number, plain

STEP = 30
"""Seconds between two samples, as Prometheus scrapes."""
_LINE = re.compile(r"^(?P<metric>[\w:]+)(?:\{(?P<labels>.*?)\})? (?P<values>.+)$", re.DOTALL)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_RATE = re.compile(r"^rate\((.*)\)$")
_HEAD_START = 1_000_000
"""Counters start high, so that extrapolation does not stop at zero before their first sample."""


@dataclass(frozen=True)
class Series:
    """One series and its values as the case writes them."""

    metric: str
    labels: dict[str, str]
    values: str
    written: frozenset[str] = frozenset()
    """Names of the labels that the case itself writes; the others are the target's."""

    def text(self) -> str:
        """The series as promtool reads it."""
        return self.metric + "{" + ", ".join(f'{name}="{value}"' for name, value in self.labels.items()) + "}"


def parse(line: str, targets: Mapping[str, str], cluster: str) -> Series:
    """A series from its line, with the labels of its target and the cluster where it does not set them."""
    match = _LINE.match(line)
    if match is None:
        raise ValueError(f'cannot read the series {line!r}; write metric{{label="value"}} values')
    prefixes = [prefix for prefix in targets if match["metric"].startswith(prefix)]
    target = dict(_LABEL.findall(targets[max(prefixes, key=len)])) if prefixes else {}
    own = dict(_LABEL.findall(match["labels"] or ""))
    labels = {name: value for name, value in {"cluster": cluster, **target, **own}.items() if value}
    return Series(match["metric"], labels, match["values"], frozenset(own))


def change(old: Series, given: object, targets: Mapping[str, str], cluster: str) -> Series:
    """A series with new values, or another one where a whole line is given."""
    text = str(given)
    if _LINE.match(text) and "{" in text.split(" ", maxsplit=1)[0]:
        return parse(text, targets, cluster)
    return Series(old.metric, old.labels, text, old.written)


def write_out(values: str, numbers: Mapping[str, float], samples: int) -> str:
    """Values as promtool reads them, for this many samples."""
    values = values.strip()
    rate = _RATE.match(values)
    if rate:
        return f"{_HEAD_START}+{plain(number(rate[1], numbers) * STEP)}x{samples}"
    try:
        return f"{plain(number(values, numbers))}x{samples}"
    except (ValueError, SyntaxError):
        return fill_numbers(values, {**numbers, "n": samples})
