"""The graph of causes: no edge is dead, none goes in a circle, and each mutes exactly what it says."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import yaml

from components import rule_files
from components.inhibition import EDGES, Edge, inhibit_rules
from tools.synth import ROOT

from .daemons import Alertmanager, alert, wait_for

CASES = (ROOT / "tests" / "rules" / "cases", ROOT / "tests" / "live" / "logql" / "cases")
MATCHING = {"postgres(ql)?": "postgresql", "mosquitto": "mosquitto", "teslamate": "teslamate"}
"""A value for each pattern of `effect_labels`."""


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    for evaluator in ("prometheus", "loki"):
        for file in rule_files.load(ROOT / "rules" / evaluator):
            for group in file.groups:
                yield from ((rule["alert"], rule) for rule in group["rules"] if "alert" in rule)


@cache
def variants() -> dict[str, list[dict[str, str]]]:
    """For each alert the sets of labels that the tests of the rules have seen on it, values made equal."""
    static = {name: rule["labels"] for name, rule in rules()}
    found: dict[str, list[dict[str, str]]] = {name: [] for name in static}
    for folder in CASES:
        for path in sorted(folder.glob("*.yaml")):
            for key, entry in yaml.safe_load(path.read_text()).items():
                name = key.partition("@")[0]
                for case in entry if isinstance(entry, list) and name in static else [entry] if name in static else []:
                    fires = case["labels"] if "labels" in case else case.get("fires", {})
                    for one in fires if isinstance(fires, list) else [fires]:
                        own = one.get("labels", {}) if "labels" not in case else one
                        # Only what a rule leaves as it is tells them apart: MonitoringTargetMissing has missing_job.
                        labels = {k: str(v) if k == "missing_job" else "same" for k, v in own.items()}
                        labels |= static[name]
                        if labels not in found[name]:
                            found[name].append(labels)
    return {name: sets or [dict(static[name])] for name, sets in found.items()}


def expected(cause: dict[str, str], effect: dict[str, str]) -> bool:
    """Whether the graph says that one alert mutes the other."""
    return any(applies(edge, cause, effect) for edge in EDGES)


def applies(edge: Edge, cause: dict[str, str], effect: dict[str, str]) -> bool:
    if cause["alertname"] != edge.cause or effect["alertname"] not in edge.effects:
        return False
    extra = [(edge.cause_labels, cause), (edge.effect_labels, effect)]
    if not all(re.fullmatch(value, have.get(name, "")) for wanted, have in extra for name, value in wanted.items()):
        return False
    return all(cause.get(label) and cause.get(label) == effect.get(label) for label in edge.equal)


def test_all_names_are_alerts() -> None:
    known = set(variants())
    for edge in EDGES:
        assert {edge.cause, *edge.effects} <= known


def test_no_cause_is_its_own_effect() -> None:
    after: dict[str, set[str]] = {}
    for edge in EDGES:
        after.setdefault(edge.cause, set()).update(edge.effects)

    def reach(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path, name])
        for effect in after.get(name, ()):
            reach(effect, (*path, name))

    for name in after:
        reach(name, ())


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: f"{edge.cause}-{edge.effects[0]}")
def test_every_equal_label_is_on_both_alerts(edge: Edge) -> None:
    for name in (edge.cause, *edge.effects):
        sets = [{"cluster", *labels} for labels in variants()[name]]
        assert any(set(edge.equal) <= labels for labels in sets), f"{name} has never all of {edge.equal}: {sets}"


def test_critical_is_never_muted_by_less() -> None:
    severity = {name: rule["labels"]["severity"] for name, rule in rules()}
    rank = {"critical": 2, "warning": 1, "info": 0}
    for edge in EDGES:
        for effect in edge.effects:
            assert rank[severity[edge.cause]] >= rank[severity[effect]], f"{edge.cause} mutes {effect}"


@dataclass
class Pair:
    """Two alerts in a cluster of their own."""

    cause: dict[str, str]
    effect: dict[str, str]
    muted: bool


def pairs() -> Iterator[Pair]:
    """Every cause with every other alert, and each true pair again with one label that differs."""
    alerts = [{"alertname": name, **labels} for name, sets in variants().items() for labels in sets]
    causes = {edge.cause for edge in EDGES}
    extra = [
        {"alertname": effect, **labels, name: MATCHING[value]}
        for edge in EDGES
        for effect in edge.effects
        for labels in variants()[effect]
        for name, value in edge.effect_labels.items()
    ]
    number = 0
    for cause in (labels for labels in alerts if labels["alertname"] in causes):
        for effect in (labels for labels in [*alerts, *extra] if labels["alertname"] != cause["alertname"]):
            number += 1
            here = {"cluster": f"cluster-{number}"}
            muted = expected(cause | here, effect | here)
            yield Pair(cause | here, effect | here, muted)
            if muted:
                for label in {
                    label for edge in EDGES if applies(edge, cause | here, effect | here) for label in edge.equal
                }:
                    number += 1
                    there = {"cluster": f"cluster-{number}"}
                    other = effect | there | {label: f"other-{number}"}
                    yield Pair(cause | there, other, expected(cause | there, other))


def test_each_edge_mutes_exactly_its_effects(start: Callable[..., Alertmanager]) -> None:
    # What is muted comes last: once it is, Alertmanager has heard of every cause.
    everything = sorted(pairs(), key=lambda pair: pair.muted)
    for edge in EDGES:
        for effect in edge.effects:
            true = [pair for pair in everything if pair.muted and pair.effect["alertname"] == effect]
            assert any(applies(edge, pair.cause, pair.effect) for pair in true), f"{edge.cause} never mutes {effect}"
    quiet = {"receiver": "nobody", "group_by": ["cluster"], "group_wait": "1h"}
    config = {"route": quiet, "receivers": [{"name": "nobody"}], "inhibit_rules": inhibit_rules()}
    alertmanager = start(config)
    alertmanager.push(send(pair.cause) for pair in everything)
    alertmanager.push(send(pair.effect) for pair in everything)
    by_cluster = {pair.effect["cluster"]: pair for pair in everything}

    def wrong() -> list[str]:
        found = {}
        for known in alertmanager.get("alerts"):
            pair = by_cluster.get(known["labels"]["cluster"])
            if pair and known["labels"]["alertname"] == pair.effect["alertname"]:
                found[pair.effect["cluster"]] = bool(known["status"]["inhibitedBy"])
        return [
            f"{pair.cause} {'does not mute' if pair.muted else 'mutes'} {pair.effect}"
            for pair in everything
            if found.get(pair.effect["cluster"]) != pair.muted
        ]

    wait_for("not all alerts came in", lambda: len(alertmanager.get("alerts")) == 2 * len(everything))
    # Causes reach what mutes a moment after the API.
    with contextlib.suppress(AssertionError):
        wait_for("some are muted wrongly", lambda: not wrong())
    assert not wrong()
    assert len([pair for pair in everything if pair.muted]) >= sum(len(edge.effects) for edge in EDGES)


def send(labels: dict[str, str]) -> dict[str, Any]:
    others: dict[str, Any] = {name: value for name, value in labels.items() if name != "alertname"}
    return alert(labels["alertname"], **others)
