"""Writes cases as promtool unit tests over the rules that a stack ships."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from components.rule_files import RuleFile
from components.tuning import human, parse_value, tunables
from settings.alerts import AlertTuning
from settings.base import seconds
from tests.rules.cases import Case
from tests.rules.decoys import decoys
from tests.rules.expressions import fill_text, number
from tests.rules.promql import selectors
from tests.rules.series import STEP, Series, change, parse, write_out
from tests.rules.stacks import EVERYTHING, Stack

_FACTS = {"component", "team", "severity", "for"}


@dataclass(frozen=True)
class Shipped:
    """An alert as a stack ships it: the group it is in, and all rules that it needs, recordings first."""

    rule: dict[str, Any]
    group: str
    needs: list[dict[str, Any]]


def find(case: Case, files: list[RuleFile], topic: str) -> Shipped | None:
    """The alert of a case among the shipped rules of its topic; None where the stack leaves it out."""
    records = {
        rule["record"]: rule for file in files for group in file.groups for rule in group["rules"] if "record" in rule
    }
    for group in (group for file in files if file.name == topic for group in file.groups):
        for rule in group["rules"]:
            if rule.get("alert") == case.alert and case.group in {None, group["name"]}:
                return Shipped(rule, group["name"], list(_needs(rule["expr"], records)))
    return None


def differs(shipped: Shipped, untuned: Shipped | None, stack: Stack) -> bool:
    """Whether a stack's alert, or a rule that it needs, differs from the untuned one in more than the cluster's name.

    Where it does not, the cases prove nothing more: their series and texts differ in that name alone, too.
    """
    return _text(untuned).replace(EVERYTHING, stack.cluster) != _text(shipped)


def _text(shipped: Shipped | None) -> str:
    return json.dumps(asdict(shipped)) if shipped else ""


def _needs(expr: str, records: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for metric in dict.fromkeys(selector.metric for selector in selectors(expr)):
        if metric in records:
            yield from _needs(records[metric]["expr"], records)
            yield records[metric]


class Writer:
    """One case, for one stack: knows the numbers and words of the stack, and writes the test groups."""

    def __init__(self, case: Case, shipped: Shipped, stack: Stack) -> None:
        self.case, self.shipped, self.stack = case, shipped, stack
        # Tuning changes no label: decoys need not be run for every stack.
        self.with_decoys = case.decoys and stack.name == EVERYTHING
        tuning = stack.alerts.tune.get(case.alert, AlertTuning())
        units = {mark.name: mark.unit for mark in tunables(shipped.rule["expr"]).values()}
        defaults = {name: float(value) for name, value in case.rule.items() if name not in _FACTS}
        tuned = {name: parse_value(value, units[name]) for name, value in tuning.values.items() if name in defaults}
        self.numbers: dict[str, float] = {**defaults, **tuned}
        wait = tuning.for_ or str(case.rule.get("for", "0s"))
        self.wait, self.start = seconds(wait), seconds(case.start)
        self.words = {"cluster": stack.cluster, "for": wait}
        self.words |= {name: human(value, units[name]) for name, value in self.numbers.items()}
        static = {key: case.rule[key] for key in ("component", "team", "severity")}
        self.labels = {"cluster": stack.cluster, **static, **tuning.labels}
        if tuning.severity:
            self.labels["severity"] = tuning.severity
        self.fault = {name: number(pair[0], self.numbers) for name, pair in case.around.items()}
        self.healthy = {name: number(pair[1], self.numbers) for name, pair in case.around.items()}

    @property
    def due(self) -> int:
        """When the alert fires: the fault is visible, and has lasted as long as the rule wants."""
        return self.start + self.wait

    def groups(self) -> Iterator[dict[str, Any]]:
        """Every test group of the case."""
        base = {name: parse(line, self.case.targets, self.stack.cluster) for name, line in self.case.series.items()}
        yield self._group("fires", base, self.fault, fires=True)
        yield from self._decoys("silent: decoy", base, set(base), fires=False)
        if self.healthy:
            yield self._group("silent: healthy", base, self.healthy, fires=False)
        for title, changes in self.case.silent.items():
            yield self._group(f"silent: {title}", changed := self._changed(base, changes), self.fault, fires=False)
            if not set(changes) & set(base):
                # What was added alone silences the alert: its decoys must not.
                yield from self._decoys(f"fires: {title}, decoy", changed, set(changes), fires=True)
        for title, changes in self.case.fires_too.items():
            yield self._group(f"fires too: {title}", changed := self._changed(base, changes), self.fault, fires=True)
            new = {
                name
                for name in changes
                if name in changed and name in base and changed[name].metric != base[name].metric
            }
            yield from self._decoys(f"silent: {title}, decoy", changed, new, fires=False)

    def _decoys(
        self, title: str, series: dict[str, Series], names: set[str], *, fires: bool
    ) -> Iterator[dict[str, Any]]:
        if not self.with_decoys:
            return
        carried = set(self.case.fires[0].get("labels", {}))
        for label, name, decoy in decoys(series, carried, self.case.free, self.case.needs):
            if name in names:
                yield self._group(f"{title} {label}", {**series, name: decoy}, self.fault, fires=fires)

    def _changed(self, base: dict[str, Series], changes: dict[str, Any]) -> dict[str, Series]:
        result = dict(base)
        for name, given in changes.items():
            if given is None:
                del result[name]
            elif name in base:
                result[name] = change(base[name], given, self.case.targets, self.stack.cluster)
            else:
                result[name] = parse(str(given), self.case.targets, self.stack.cluster)
        return result

    def _group(self, title: str, series: dict[str, Series], around: dict[str, float], *, fires: bool) -> dict[str, Any]:
        numbers = {**self.numbers, **around}
        samples = (self.due + 600) // STEP
        times: list[tuple[int, list[dict[str, Any]]]]
        if fires:
            times = [(time, []) for time in [self.due - STEP] if time >= 0] + [(self.due, self._expected(numbers))]
        else:
            times = [(self.due, []), (self.due + 300, [])]
        return {
            "name": f"{self.case.alert} / {self.case.title} / {title}",
            "interval": f"{STEP}s",
            "input_series": [
                {"series": one.text(), "values": write_out(one.values, numbers, samples)} for one in series.values()
            ],
            "alert_rule_test": [
                {"eval_time": f"{time}s", "alertname": self.case.alert, "exp_alerts": alerts} for time, alerts in times
            ],
        }

    def _expected(self, numbers: dict[str, float]) -> list[dict[str, Any]]:
        return [
            {
                "exp_labels": {**self.labels, **one.get("labels", {})},
                "exp_annotations": {
                    "summary": fill_text(one["summary"], self.words, numbers),
                    "description": fill_text(one["description"], self.words, numbers),
                    "runbook_url": f"{self.stack.alerts.runbooks_url}/{self.case.alert}.md",
                },
            }
            for one in self.case.fires
        ]


def write(case: Case, shipped: Shipped, stack: Stack, folder: Path, name: str) -> Path:
    """Writes the test file of a case, beside a rule file with the alert and the recordings that it needs."""
    rules = folder / f"{name}.rules.yaml"
    groups = [{"name": "recordings", "rules": shipped.needs}] if shipped.needs else []
    groups.append({"name": shipped.group, "rules": [shipped.rule]})
    _dump(rules, {"groups": groups})
    test = folder / f"{name}.test.yaml"
    tests = list(Writer(case, shipped, stack).groups())
    order = [group["name"] for group in groups]
    _dump(
        test, {"rule_files": [rules.name], "evaluation_interval": f"{STEP}s", "group_eval_order": order, "tests": tests}
    )
    return test


def _dump(path: Path, content: dict[str, Any]) -> None:
    path.write_text(
        yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000), encoding="utf-8"
    )


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    def ignore_aliases(self, _data: object) -> bool:
        return True
