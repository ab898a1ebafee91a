"""Reads bench/cluster.series: the series of a synthetic cluster, as text to scrape or to import."""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

FILE = Path(__file__).parent / "cluster.series"
NODES, NAMESPACES = 40, 45
_SECTION = re.compile(r"\[each [\w-]+ x (?P<count>\d+): (?P<labels>.*)\]")
_LINE = re.compile(r"(?P<metric>[\w:]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Series:
    """One series: its text up to the value, and how the value goes."""

    metric: str
    head: str
    value: str

    def at(self, moment: float) -> float:
        """The value at a point in time (Unix seconds)."""
        if self.value.startswith("+"):
            return float(self.value[1:]) * moment
        if self.value.startswith("now"):
            return moment + float(self.value[3:])
        return float(self.value)


def read(cluster: str, file: Path = FILE) -> list[Series]:
    """All series of the file with the label `cluster`. Raises ValueError for a line that is no series."""
    found: list[Series] = []
    shared, count = "", 0
    for line in file.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if section := _SECTION.fullmatch(line):
            shared, count = section["labels"], int(section["count"])
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{file.name}: no series: {line}")
        labels = dict(_LABEL.findall(f"{shared},{match['labels'] or ''}")) | {"cluster": cluster}
        for number in range(count):
            found += _expand(match["metric"], labels, match["value"], number)
    return found


def _expand(metric: str, labels: dict[str, str], value: str, number: int) -> Iterator[Series]:
    names = {"$node": f"w{number % NODES}", "$ns": f"team-{number % NAMESPACES}", "$pod": f"pod-{number}"}
    own = {
        key: re.sub(r"\$(node|ns|pod|i)", lambda match: names.get(match[0], str(number)), text)
        for key, text in labels.items()
    }
    for values in product(*(text.split("|") for text in own.values())):
        pairs = ",".join(f'{key}="{text}"' for key, text in zip(own, values, strict=True))
        yield Series(metric, f"{metric}{{{pairs}}} ", value)


def scrape(series: Iterable[Series]) -> str:
    """What a target that has the series answers now."""
    now = time.time()
    return "".join(f"{one.head}{one.at(now)}\n" for one in series)


def history(series: Iterable[Series], times: Iterable[int]) -> Iterator[str]:
    """OpenMetrics lines with a sample of each series at each of the times (Unix seconds)."""
    moments = list(times)
    for one in series:
        for moment in moments:
            yield f"{one.head}{one.at(moment)} {moment}\n"
    yield "# EOF\n"
