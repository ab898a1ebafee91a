"""The cards of cards.yaml: what the exporter serves of them, and what Prometheus makes of that."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.dcgm_exporter import COUNTERS, HOST_LABELS

XID_TEXTS = {0: "No Error", 31: "GPU memory page fault", 79: "GPU has fallen off the bus"}
"""Texts of the exporter for the numbers that the tests use."""
HEALTHY = {
    "DCGM_FI_DEV_GPU_TEMP": 61,
    "DCGM_FI_DEV_SLOWDOWN_TEMP": 89,
    "DCGM_FI_DEV_GPU_UTIL": 63,
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": 0.61,
    "DCGM_FI_DEV_SM_CLOCK": 1410,
}
"""Values of any card where all is well; every other counter is 0."""
_SAMPLE = re.compile(r"(?P<metric>\w+)\{(?P<labels>.*)\} (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
Labels = dict[str, str]


@dataclass(frozen=True)
class Card:
    """One entry of cards.yaml."""

    name: str
    raw: Mapping[str, Any]

    @property
    def labels(self) -> Labels:
        """The labels by which rules know the card."""
        return {"node": self.raw["node"]} | {key: self.raw["card"][key] for key in ("gpu", "UUID", "modelName")}

    @property
    def instance(self) -> Labels:
        """Label of its first MIG instance; none where it is one whole."""
        parts = self.raw.get("instances")
        return {"GPU_I_ID": parts[0]["labels"]["GPU_I_ID"]} if parts else {}

    def has(self, metric: str) -> bool:
        """Whether the exporter has the metric of this card."""
        return metric not in self.raw.get("lacks", ())

    def healthy(self, metric: str) -> float:
        """Value of a metric where all is well."""
        memory, watt = self.raw["memory"], self.raw["watt"]
        used = memory // 2
        own = {
            "DCGM_FI_DEV_FB_USED": used,
            "DCGM_FI_DEV_FB_FREE": memory - used,
            "DCGM_FI_DEV_POWER_USAGE": watt["draws"],
            "DCGM_FI_DEV_ENFORCED_POWER_LIMIT": watt["limit"],
        }
        return float({**HEALTHY, **own}.get(metric, 0))


@cache
def cards() -> tuple[Card, ...]:
    """All cards."""
    content = yaml.safe_load((Path(__file__).parent / "cards.yaml").read_text(encoding="utf-8"))
    return tuple(Card(name, raw) for name, raw in content.items())


def counters() -> dict[str, str]:
    """Name and type of every counter that our exporter reads."""
    return dict(re.findall(r"^(DCGM_\w+), (\w+),", COUNTERS.read_text(encoding="utf-8"), re.MULTILINE))


def exposition(card: Card, changes: Mapping[str, float] | None = None) -> str:
    """What the exporter serves of the card, in its own format.

    `changes` are other values, by metric; those of memory and profiling are for its first MIG instance alone.
    """
    lines = []
    for metric, kind in counters().items():
        if card.has(metric):
            lines += [f"# HELP {metric} as in the list of counters", f"# TYPE {metric} {kind}"]
            for labels, number in _samples(card, metric, changes or {}):
                text = ",".join(f'{name}="{value}"' for name, value in labels.items())
                lines.append(f"{metric}{{{text}}} {number:g}")
    return "\n".join(lines) + "\n"


def _samples(card: Card, metric: str, changes: Mapping[str, float]) -> Iterator[tuple[Labels, float]]:
    raw = card.raw
    for position, part in enumerate(raw.get("instances") or [{"labels": {}, "pods": raw["pods"]}]):
        of_part = position > 0 and metric.startswith(("DCGM_FI_DEV_FB_", "DCGM_FI_PROF_"))
        value = card.healthy(metric) if of_part else changes.get(metric, card.healthy(metric))
        for pod in part["pods"] or [{"container": "", "namespace": "", "pod": ""}]:
            labels = {**raw["card"], **part["labels"], raw["host"]: raw["node"]}
            labels |= {"DCGM_FI_DRIVER_VERSION": raw["driver"], **pod}
            if metric == "DCGM_FI_DEV_XID_ERRORS":
                labels |= {"err_code": f"{value:.0f}", "err_msg": XID_TEXTS[int(value)]}
            if metric == "DCGM_EXP_XID_ERRORS_COUNT":
                labels |= {"window_size_in_ms": "300000"}
            yield labels, value


def scraped(text: str, target: Labels) -> list[tuple[str, Labels, float]]:
    """The series that Prometheus stores of an exposition, under the labels of its target.

    As our monitors ask for it: the target's labels win, `node` is one of them, the host label goes.
    """
    found = []
    for line in text.splitlines():
        if match := _SAMPLE.fullmatch(line):
            own = {name: value for name, value in _LABEL.findall(match["labels"]) if value}
            kept = {f"exported_{name}" if name in target else name: value for name, value in own.items()}
            labels = {name: value for name, value in {**kept, **target}.items() if name not in HOST_LABELS}
            found.append((match["metric"], labels, float(match["value"])))
    return found
