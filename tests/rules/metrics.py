"""The metric catalogue: tests/rules/metrics has one file an exporter, with its metrics and their labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from components import rule_files
from tests.rules.promql import selectors
from tests.rules.stacks import ROOT

FOLDER = Path(__file__).parent / "metrics"
TARGET = frozenset({"cluster", "job", "instance", "namespace", "pod", "container", "service", "endpoint"})
"""Labels that every target has by the operator's monitors."""


@dataclass(frozen=True)
class Metric:
    """Which exporters have a metric, and all labels that it can have, those of its targets among them."""

    exporters: tuple[str, ...]
    labels: frozenset[str]


@cache
def catalogue() -> dict[str, Metric]:
    """Every metric of every file, and what Loki's ruler records."""
    known: dict[str, Metric] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for name, labels in content["metrics"].items():
            old = known.get(name, Metric((), frozenset()))
            own = TARGET | set(labels) | set(content["target"])
            known[name] = Metric((*old.exporters, path.stem), old.labels | own)
    return known | dict(_recorded(known))


def _recorded(known: dict[str, Metric]) -> Iterator[tuple[str, Metric]]:
    found = dict(known)
    for folder in ("loki", "prometheus"):
        for file in rule_files.load(ROOT / "rules" / folder):
            for group in file.groups:
                for rule in group["rules"]:
                    if "record" in rule:
                        labels = _log_labels(rule["expr"]) if folder == "loki" else result_labels(rule["expr"], found)
                        found[rule["record"]] = Metric(("recorded",), frozenset(labels) | {"cluster"})
                        yield rule["record"], found[rule["record"]]


def _log_labels(expr: str) -> set[str]:
    return {name.strip() for name in expr.split(" by (", 1)[1].split(")", 1)[0].split(",")}


def result_labels(expr: str, known: dict[str, Metric]) -> set[str]:
    """Labels that the result of an expression can have; ValueError names a metric that no exporter has."""
    return _labels(promql_parser.parse(expr), known)


def _labels(node: Any, known: dict[str, Metric]) -> set[str]:
    match node:
        case promql_parser.VectorSelector():
            if node.name not in known:
                raise ValueError(f"no exporter has the metric {node.name}")
            found = set(known[node.name].labels)
        case promql_parser.AggregateExpr():
            found = _aggregated(node, known)
        case promql_parser.BinaryExpr():
            found = _joined(node, known)
        case promql_parser.Call():
            found = set().union(*(_labels(argument, known) for argument in node.args))
            found |= {node.args[1].val} if node.func.name == "label_replace" else set()
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            found = set()
        case promql_parser.MatrixSelector():
            found = _labels(node.vector_selector, known)
        case _:
            found = _labels(node.expr, known)
    return found


def _aggregated(node: Any, known: dict[str, Metric]) -> set[str]:
    inner = _labels(node.expr, known)
    wanted = set(node.modifier.labels) if node.modifier is not None else set()
    if missing := wanted - inner:
        raise ValueError(f"nothing in `{node.expr}` has the label {', '.join(sorted(missing))}")
    return inner if str(node.op) == "topk" else wanted


def _joined(node: Any, known: dict[str, Metric]) -> set[str]:
    left, right = _labels(node.lhs, known), _labels(node.rhs, known)
    matching = getattr(node.modifier, "matching", None)
    on = set(matching.labels) if matching is not None and "Include" in str(matching.type) else set()
    for side, labels in ((node.lhs, left), (node.rhs, right)):
        # The one side of `or` may lack what the other has.
        if labels and (missing := on - labels):
            raise ValueError(f"nothing in `{side}` has the label {', '.join(sorted(missing))}")
    extra = set(getattr(node.modifier, "group_labels", None) or [])
    if missing := extra - right - left:
        raise ValueError(f"nothing in `{node.rhs}` has the label {', '.join(sorted(missing))}")
    return left | right if str(node.op) == "or" else (left or right) | extra


def mistakes(expr: str) -> list[str]:
    """What an expression names that no exporter has: metrics, labels of matchers, of joins and of aggregations."""
    known = catalogue()
    found = [f"no exporter has the metric {one.metric}" for one in selectors(expr) if one.metric not in known]
    for one in selectors(expr):
        for matcher in one.matchers if one.metric in known else ():
            if matcher.label not in known[one.metric].labels:
                found.append(f"{one.metric} of {', '.join(known[one.metric].exporters)} has no label {matcher.label}")
    if not found:
        try:
            result_labels(expr, known)
        except ValueError as error:
            found.append(str(error))
    return found


def used(expr: str) -> set[str]:
    """Names of the metrics of an expression."""
    return {one.metric for one in selectors(expr)}
