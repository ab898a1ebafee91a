"""Every GPU alert on several models of cards, with the full label set that the exporter gives them.

The cases of tests/rules/cases/gpu.yaml try the limits; here the labels are what matters.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from components.dcgm_exporter import APP, HOST_LABELS
from settings.base import seconds
from tests.rules import promtool
from tests.rules.gpu.cards import Card, cards, counters, exposition, scraped
from tests.rules.metrics import catalogue, result_labels, used
from tests.rules.stacks import ROOT, rendered, sources, stacks

STEP = 30
START = 1800
"""Seconds after which the fault begins."""
SLACK = 600
"""Seconds that a fault needs to show in a rate."""
CARD_LABELS = {"cluster", "node", "gpu", "UUID", "modelName", "GPU_I_ID"}
"""What an alert on a GPU may carry. All else changes while the same fault lasts, or differs between releases."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a card: other values, or values that rise by so much a second, or no card at all."""

    values: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    gone: bool = False
    exporter: int = 1
    allocatable: int = 1
    of_part: bool = False
    """Whether the alert names the MIG instance."""


def fault(alert: str, card: Card) -> Fault | None:
    """The fault that has to raise the alert; None where the card does not tell of it."""
    memory, limit = card.raw["memory"], card.raw["watt"]["limit"]
    busy = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
    known = {
        "GPUHighTemperature": Fault({"DCGM_FI_DEV_GPU_TEMP": 92}),
        "GPUMemoryFull": Fault({"DCGM_FI_DEV_FB_USED": memory - 64, "DCGM_FI_DEV_FB_FREE": 64}, of_part=True),
        "GPUPowerHigh": Fault({"DCGM_FI_DEV_POWER_USAGE": limit * 0.99}),
        "GPUXidError": Fault({"DCGM_FI_DEV_XID_ERRORS": 79}),
        "GPUXidApplicationError": Fault({"DCGM_FI_DEV_XID_ERRORS": 31}),
        "GPURowRemapFailure": Fault({"DCGM_FI_DEV_ROW_REMAP_FAILURE": 1}),
        "GPUUncorrectableECCErrors": Fault({"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": 2}),
        "GPUThermalThrottling": Fault(rates={"DCGM_FI_DEV_THERMAL_VIOLATION": 4e8}),
        "GPUIdle": Fault({busy if card.has(busy) else "DCGM_FI_DEV_GPU_UTIL": 0}, of_part=True),
        "GPULost": Fault(gone=True),
        "GPUUnhealthy": Fault(allocatable=0),
        "GPUMetricsMissing": Fault(gone=True, exporter=0),
    }[alert]
    return known if all(card.has(metric) for metric in {*known.values, *known.rates}) else None


def rules() -> list[dict[str, Any]]:
    return [rule for file in sources() if file.name == "gpu" for group in file.groups for rule in group["rules"]]


ALERTS = [rule["alert"] for rule in rules()]
NODE_WIDE = {"GPUUnhealthy", "GPUMetricsMissing"}
FOLLOWS = {"GPULost": {"GPUMetricsMissing"}}
"""What else fires of the same fault: here the lost card was the only one of its node."""


def target(card: Card) -> dict[str, str]:
    return {
        "cluster": "everything",
        **{"job": APP, "instance": "10.1.0.7:9400", "namespace": "monitoring-agents", "pod": f"{APP}-x"},
        **{"container": APP, "node": card.raw["node"]},
    }


def inputs(card: Card, wrong: Fault, length: int) -> Iterator[dict[str, str]]:
    """Every series of the card and its node: healthy at first, with the fault from START on."""
    before, after = START // STEP, length // STEP
    healthy = {_key(metric, labels): (metric, value) for metric, labels, value in _series(card, {})}
    faulty = {_key(metric, labels): (metric, value) for metric, labels, value in _series(card, wrong.values)}
    for key in {**healthy, **faulty}:
        metric = key.partition("{")[0]
        first = f"{healthy[key][1]:g}x{before - 1}" if key in healthy else f"_x{before}"
        then = f"{faulty[key][1]:g}x{after}" if key in faulty and not wrong.gone else "stale"
        if metric in wrong.rates:
            then = f"0+{wrong.rates[metric] * STEP:.0f}x{after}"
        yield {"series": key, "values": f"{first} {then}"}
    up = f"1x{before - 1} {wrong.exporter}x{after}"
    yield {"series": _key("up", target(card)), "values": up}
    for name, value in (("capacity", 1), ("allocatable", wrong.allocatable)):
        labels = {"cluster": "everything", "job": "kube-state-metrics", "node": card.raw["node"]}
        labels |= {"resource": card.raw["resource"], "unit": "integer"}
        yield {"series": _key(f"kube_node_status_{name}", labels), "values": f"1x{before - 1} {value}x{after}"}


def _series(card: Card, changes: Mapping[str, float]) -> list[tuple[str, dict[str, str], float]]:
    return scraped(exposition(card, changes), target(card))


def _key(metric: str, labels: Mapping[str, str]) -> str:
    return metric + "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


@dataclass(frozen=True)
class Asked:
    """One question to promtool: which alerts fire at `due`, with which labels (None: it does not fire)."""

    card: Card
    series: list[dict[str, str]]
    expected: Mapping[str, dict[str, str] | None]
    due: int


def check(path: Path, asked: list[Asked]) -> str:
    """What promtool says to it; empty where all is as expected, and nothing fires before the fault."""
    [file] = [file for file in rendered(stacks()[0]) if file.name == "gpu"]
    (path / "rules.yaml").write_text(json.dumps({"groups": file.groups}))
    facts = {rule["alert"]: rule["labels"] for group in file.groups for rule in group["rules"]}
    tests: list[dict[str, Any]] = []
    for one in asked:
        questions: list[dict[str, Any]] = []
        for alert, labels in one.expected.items():
            expr = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
            questions.append({"expr": expr, "eval_time": f"{START - STEP}s", "exp_samples": []})
            all_labels = {"alertname": alert, "alertstate": "firing", **facts[alert], **(labels or {})}
            samples = [] if labels is None else [{"labels": _key("ALERTS", all_labels), "value": 1}]
            questions.append({"expr": expr, "eval_time": f"{one.due}s", "exp_samples": samples})
        tests.append(
            {"name": one.card.name, "interval": f"{STEP}s", "input_series": one.series, "promql_expr_test": questions}
        )
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{STEP}s", "tests": tests}
    name = path / "cards.test.yaml"
    name.write_text(json.dumps(content))
    return promtool.test([name])


def test_nothing_fires_on_healthy_cards(tmp_path: Path) -> None:
    due = START + 3 * 3600
    asked = [Asked(card, list(inputs(card, Fault(), due)), dict.fromkeys(ALERTS), due) for card in cards()]
    assert (failures := check(tmp_path, asked)) == "", failures


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_names_the_card_and_no_other_fires(alert: str, tmp_path: Path) -> None:
    [rule] = [rule for rule in rules() if rule["alert"] == alert]
    due = START + SLACK + seconds(rule.get("for", "0s"))
    asked = []
    for card in cards():
        wrong = fault(alert, card)
        if wrong is None:
            # No such metric, no such alert: a rule that asks for nothing else cannot fire here.
            assert any(not card.has(metric) for metric in used(rule["expr"]))
            continue
        labels = {"node": card.raw["node"]} if alert in NODE_WIDE else card.labels
        labels = {**labels, **(card.instance if wrong.of_part else {})}
        silent = dict.fromkeys(set(ALERTS) - {alert} - FOLLOWS.get(alert, set()))
        asked.append(Asked(card, list(inputs(card, wrong, due)), {**silent, alert: labels}, due))
    assert (failures := check(tmp_path, asked)) == "", failures


@pytest.mark.parametrize("alert", ["GPUHighTemperature", "GPUMemoryFull", "GPUPowerHigh"])
def test_a_fault_lasts_though_labels_change(alert: str, tmp_path: Path) -> None:
    """Another pod gets the card, the exporter is updated, the driver too: the alert still fires in time."""
    [wait] = [seconds(rule["for"]) for rule in rules() if rule["alert"] == alert]
    asked = []
    for card in cards():
        wrong = fault(alert, card)
        assert wrong is not None
        series = [changed for one in inputs(card, wrong, START + wait) for changed in _relabelled(one, card, wait)]
        labels = {**card.labels, **(card.instance if wrong.of_part else {})}
        asked.append(Asked(card, series, {alert: labels}, START + wait))
    assert (failures := check(tmp_path, asked)) == "", failures


def _relabelled(one: dict[str, str], card: Card, wait: int) -> Iterator[dict[str, str]]:
    """The series, which ends half way through `wait` and goes on as another one."""
    first, then = one["values"].split(" ")
    if not one["series"].startswith("DCGM_"):
        yield one
        return
    half, value = wait // 2 // STEP, then.partition("x")[0]
    later = one["series"].replace(card.raw["driver"], "580.1").replace('exported_pod="', 'exported_pod="new-')
    later = later.replace("10.1.0.7", "10.1.0.8").replace(f"{APP}-x", f"{APP}-y")
    yield {"series": one["series"], "values": f"{first} {value}x{half - 1} stale"}
    yield {"series": later, "values": f"_x{START // STEP + half} {value}x{wait // STEP}"}


def leaks(expr: str) -> set[str]:
    """Labels of the result of an expression that an alert on a GPU may not carry."""
    return result_labels(expr, catalogue()) - CARD_LABELS


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_no_label_of_pod_error_or_release_gets_into_an_alert(rule: dict[str, Any]) -> None:
    assert leaks(rule["expr"]) == set()


@pytest.mark.parametrize(
    ("expr", "label"),
    [
        ("DCGM_FI_DEV_XID_ERRORS > 0", "err_msg"),
        ("max by (cluster, node, UUID, err_code) (DCGM_FI_DEV_XID_ERRORS) > 0", "err_code"),
        ("sum by (cluster, UUID, exported_pod) (DCGM_FI_DEV_FB_USED) > 1", "exported_pod"),
        ("max by (cluster, UUID, DCGM_FI_DRIVER_VERSION) (DCGM_FI_DEV_GPU_TEMP) > 80", "DCGM_FI_DRIVER_VERSION"),
        ("max by (cluster, instance, gpu) (DCGM_FI_DEV_GPU_TEMP) > 80", "instance"),
    ],
)
def test_a_rule_that_lets_one_in_is_found(expr: str, label: str) -> None:
    assert label in leaks(expr)


@pytest.mark.parametrize("spelling", HOST_LABELS)
def test_a_rule_cannot_ask_for_the_exporters_host(spelling: str) -> None:
    with pytest.raises(ValueError, match=spelling):
        result_labels(f"max by (cluster, {spelling}) (DCGM_FI_DEV_GPU_TEMP)", catalogue())


@pytest.mark.parametrize("card", cards(), ids=lambda card: card.name)
def test_the_catalogue_has_every_label_of_the_cards(card: Card) -> None:
    known = catalogue()
    for metric, labels, _ in _series(card, {}):
        assert set(labels) <= known[metric].labels, metric


def test_the_document_says_which_alerts_each_card_can_raise() -> None:
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    rows = {row[0]: row[1:] for row in cells if row and row[0] in ALERTS}
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in rules()}
    assert {alert: row[0] for alert, row in rows.items()} == severities
    for alert, row in rows.items():
        assert [cell == "-" for cell in row[1:]] == [fault(alert, card) is None for card in cards()], alert


def test_the_cards_are_of_every_kind() -> None:
    """Both spellings of the host, MIG, a shared card, one without profiling; and every name of theirs is a counter."""
    assert {card.raw["host"] for card in cards()} == set(HOST_LABELS)
    assert any(card.instance for card in cards())
    assert any(len(card.raw.get("pods", ())) > 1 for card in cards())
    assert any(not card.has("DCGM_FI_PROF_GR_ENGINE_ACTIVE") for card in cards())
    for card in cards():
        assert set(card.raw.get("lacks", ())) <= set(counters()), card.name
