"""Synthetic series: read `data/*.series` (the notation is explained in healthy.series) and write OpenMetrics."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

DATA = Path(__file__).parent / "data"
STEP = 30  # seconds, the scrape interval of the stack
MINUTES = 90
UNITS = {"m": 60, "h": 3600, "d": 86400}
_LINE = re.compile(r"(?P<name>[\w:]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_VALUE = re.compile(r"(?P<now>now[+-])?(?P<number>[\d.]+)(?P<unit>[mhd])?(?:\+(?P<step>[\d.]+))?(?:~(?P<over>\d+)m)?")
Labels = dict[str, str]
Series = dict[tuple[str, tuple[tuple[str, str], ...]], str]


def read(cluster: str) -> Series:
    """The series of the cluster `healthy`, or `faulty`: those of the healthy one with what is broken.

    Raises `ValueError` for a line that is no series.
    """
    files = ["healthy"] if cluster == "healthy" else ["healthy", cluster]
    found: Series = {}
    for name in files:
        for metric, labels, value in _parse((DATA / f"{name}.series").read_text()):
            found[metric, tuple(sorted({**labels, "cluster": cluster}.items()))] = value
    return found


def openmetrics(series: Series, end: int) -> Iterator[str]:
    """Lines of an OpenMetrics text with a sample each 30 s up to `end` (Unix seconds)."""
    times = range(end - MINUTES * 60, end + 1, STEP)
    for (metric, labels), value in series.items():
        text = ",".join(f'{name}="{label}"' for name, label in labels)
        last = end - 60 * int(_match(value)["over"] or 0)
        for number, time in enumerate(time for time in times if time <= last):
            yield f"{metric}{{{text}}} {sample(value, number, end)} {time}"
    yield "# EOF"


def _parse(text: str) -> Iterator[tuple[str, Labels, str]]:
    shared: list[str] = []
    heads = False
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            shared = [*shared, line[1:-1]] if heads else [line[1:-1]]
            heads = True
            continue
        heads = False
        match = _LINE.fullmatch(line)
        if not match or not _VALUE.fullmatch(match["value"]):
            raise ValueError(f"no series: {line}")
        for head in shared:
            labels = dict(_LABEL.findall(f"{head},{match['labels'] or ''}"))
            for values in product(*(value.split("|") for value in labels.values())):
                yield match["name"], dict(zip(labels, values, strict=True)), match["value"]


def sample(value: str, number: int, end: int) -> float:
    """The value of a series at its sample of this number, `end` (Unix seconds) being now."""
    match = _match(value)
    amount = float(match["number"]) * UNITS.get(match["unit"] or "", 1)
    if match["now"]:
        return end + amount if match["now"] == "now+" else end - amount
    return amount + number * float(match["step"] or 0)


def _match(value: str) -> re.Match[str]:
    match = _VALUE.fullmatch(value)
    assert match
    return match
