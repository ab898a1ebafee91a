"""The past of an expression: range queries to Prometheus or Loki, in pieces that both answer."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from settings.base import seconds
from tools.console import UserError
from tools.reach import Part

POINTS = 5000
"""Points of a series in one answer; both refuse more than 11000."""
PATHS = {"prometheus": "/api/v1/query_range", "loki": "/loki/api/v1/query_range"}
Samples = dict[str, tuple[dict[str, str], list[int]]]


def samples(part: Part, evaluator: str, expr: str, step: int, start: int, end: int) -> Samples:
    """Labels and sample times of each series that the expression gave, asked for each `step` seconds.

    Raises UserError with the words of Prometheus or Loki where it refuses.
    """
    found: Samples = {}
    for begin in range(start, end + 1, step * POINTS):
        last = min(begin + step * (POINTS - 1), end)
        query = {"query": expr, "start": begin, "end": last, "step": step}
        for series in part.read(f"{PATHS[evaluator]}?{urlencode(query)}")["data"]["result"]:
            labels = series["metric"]
            _, times = found.setdefault(json.dumps(labels, sort_keys=True), (labels, []))
            times += [int(moment) for moment, _ in series["values"]]
    return found


def without_data(part: Part, evaluator: str, expr: str, start: int, end: int) -> list[str]:
    """Series or streams of the expression of which this time has no sample at all: they tell why nothing fired."""
    if evaluator == "loki":
        path = "/loki/api/v1/series"
        times = {"start": start * 10**9, "end": end * 10**9}
        inputs = [re.sub(r"\s+", " ", text) for text in re.findall(r"\{[^{}]*\}", expr)]
    else:
        path = "/api/v1/series"
        times = {"start": start, "end": end, "limit": 1}
        inputs = sorted(set(_metrics(_parsed(part, expr))))
    missing = []
    for selector in dict.fromkeys(inputs):
        if not part.read(f"{path}?{urlencode({'match[]': selector, **times})}").get("data"):
            missing.append(selector)
    return missing


def _parsed(part: Part, expr: str) -> Any:
    try:
        return part.read(f"/api/v1/parse_query?{urlencode({'query': expr})}")["data"]
    except UserError:
        return {}  # Other programs that speak Prometheus' API do not have it; then nothing is said.


def _metrics(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        if tree.get("type") in {"vectorSelector", "matrixSelector"} and tree.get("name"):
            yield str(tree["name"])
        for value in tree.values():
            yield from _metrics(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _metrics(value)


def longest_window(expr: str) -> int:
    """Seconds of the longest range in an expression, such as 3600 for `[1h]`: so much past it looks at."""
    ranges = re.findall(r"\[\s*(\d\w*)\s*(?::\s*\w*\s*)?\]", expr)
    return max((seconds(text) for text in ranges), default=0)
