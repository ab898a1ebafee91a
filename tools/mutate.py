"""Breaks the PromQL rules one small change at a time, and looks whether a case notices (`make mutate`).

Changes: each comparison turned round, each threshold moved by 10 % up and down, each `for` halved and doubled, each
label matcher dropped. A change that no case catches is listed; tests/rules/survivors.yaml explains those that cannot
be caught. The exit code is not 0 below 95 % or with an unexplained one.
"""

import argparse
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from os import cpu_count
from pathlib import Path
from typing import Any

import yaml

from settings.base import seconds
from tests.rules import cases, promtool
from tests.rules.cases import Case
from tests.rules.stacks import ROOT, Stack, rendered, stacks
from tests.rules.suite import Shipped, find, write
from tools.console import UserError, run

WANTED = 0.95
SURVIVORS = ROOT / "tests" / "rules" / "survivors.yaml"
RECORDINGS = ROOT / "tests" / "rules" / "recordings.yaml"
TURNED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "!=", "!=": "=="}
_SKIP = r'"(?:[^"\\]|\\.)*"|#[^\n]*'
_COMPARISON = re.compile(
    rf"{_SKIP}|\{{[^}}]*\}}|(?P<op>==|!=|>=|<=|>|<)(?P<rest>\s*(?:bool\s+)?(?:on\s*\([^)]*\)\s*)?(?P<number>\d+(?:\.\d+)?)?)"
)
_TUNED = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<rest>[^\w\n]*#\s*tune\s)")
_BRACES = re.compile(r"\{(?P<matchers>[^}]*)\}")
_MATCHER = re.compile(r'\w+\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Mutant:
    """A changed rule: the name of the rule, what was changed, the rule, and whether a label decides over it."""

    name: str
    change: str
    rule: dict[str, Any]
    labels: bool = False


def mutants(rule: dict[str, Any]) -> Iterator[Mutant]:
    """Every small change of a rule."""
    name, expr = str(rule.get("alert") or rule["record"]), str(rule["expr"])

    def changed(what: str, new: str, *, labels: bool = False) -> Mutant:
        return Mutant(name, what, {**deepcopy(rule), "expr": new}, labels)

    thresholds: set[int] = set()
    for match in _COMPARISON.finditer(expr):
        if not match["op"]:
            continue
        line = _around(expr, match.start())
        new = TURNED[match["op"]]
        yield changed(f"{match['op']} to {new} in `{line}`", expr[: match.start("op")] + new + expr[match.end("op") :])
        if match["number"]:
            thresholds.add(match.start("number"))
    thresholds |= {match.start("number") for match in _TUNED.finditer(expr)}
    for start in sorted(thresholds):
        number = re.match(r"\d+(?:\.\d+)?", expr[start:])
        assert number is not None
        for factor in (1.1, 0.9):
            value = float(number[0]) * factor
            if value:
                what = f"{number[0]} to {value:g} in `{_around(expr, start)}`"
                yield changed(what, f"{expr[:start]}{value!r}{expr[start + len(number[0]) :]}")
    for braces in _BRACES.finditer(expr):
        found = list(_MATCHER.finditer(braces["matchers"]))
        for match in found:
            rest = ", ".join(other[0] for other in found if other is not match)
            metric = re.search(r"[\w:]+$", expr[: braces.start()])
            what = f"without {match[0]} in {metric[0] if metric else ''} (at {braces.start()})"
            yield changed(what, f"{expr[: braces.start()]}{{{rest}}}{expr[braces.end() :]}", labels=True)
    if "for" in rule:
        for factor in (0.5, 2.0):
            wait = f"{int(seconds(rule['for']) * factor)}s"
            yield Mutant(name, f"for: {rule['for']} to {wait}", {**deepcopy(rule), "for": wait})


def _around(expr: str, position: int) -> str:
    start = expr.rfind("\n", 0, position) + 1
    end = expr.find("\n", position)
    return expr[start : end if end >= 0 else None].split("#", maxsplit=1)[0].strip()


def caught(mutant: Mutant, concerned: list[tuple[Case, Shipped]], stack: Stack) -> bool:
    """Whether a case fails under the mutant."""
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        files = []
        for position, (case, shipped) in enumerate(concerned):
            if "alert" in mutant.rule:
                broken = replace(shipped, rule=mutant.rule)
            else:
                needs = [mutant.rule if rule["record"] == mutant.name else rule for rule in shipped.needs]
                broken = replace(shipped, needs=needs)
            # Decoys differ in one label: only a changed matcher lets one through.
            plain = case if mutant.labels else replace(case, decoys=False)
            files.append(write(plain, broken, stack, Path(folder), str(position)))
        if "record" in mutant.rule and (test := _recordings(mutant, stack, Path(folder))):
            files.append(test)
        return promtool.test(files) != ""


def _recordings(mutant: Mutant, stack: Stack, folder: Path) -> Path | None:
    test = yaml.safe_load(RECORDINGS.read_text(encoding="utf-8"))
    names = {Path(path).stem for path in test["rule_files"]}
    groups = deepcopy([group for file in rendered(stack) if file.name in names for group in file.groups])
    if not any(rule.get("record") == mutant.name for group in groups for rule in group["rules"]):
        return None
    for group in groups:
        group["rules"] = [mutant.rule if rule.get("record") == mutant.name else rule for rule in group["rules"]]
        group["rules"] = [rule for rule in group["rules"] if "record" in rule]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [group for group in groups if group["rules"]]}))
    test["rule_files"] = ["rules.yaml"]
    path = folder / "recordings.yaml"
    path.write_text(yaml.safe_dump(test))
    return path


def work(only: set[str]) -> Iterator[tuple[Mutant, list[tuple[Case, Shipped]]]]:
    """All mutants with the cases that concern their rule."""
    stack = stacks()[0]
    files = rendered(stack)
    by_topic = {topic: cases.load(topic) for topic in cases.topics()}
    known = [
        (case, shipped)
        for topic, all_cases in by_topic.items()
        for case in all_cases
        if (shipped := find(case, files, topic))
    ]
    for file in files:
        for group in file.groups:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                if only and name not in only:
                    continue
                if "alert" in rule:
                    concerned = [(case, shipped) for case, shipped in known if shipped.rule is rule]
                else:
                    concerned = [(case, shipped) for case, shipped in known if rule in shipped.needs]
                yield from ((mutant, concerned) for mutant in mutants(rule))


def main() -> int:
    """Run all mutants; 0 if enough are caught and the others explained. Raises UserError for an unknown rule."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("rules", nargs="*", help="names of alerts or recordings; all of them if none is given")
    only = set(parser.parse_args().rules)
    stack = stacks()[0]
    rules = [rule for file in rendered(stack) for group in file.groups for rule in group["rules"]]
    if unknown := only - {rule.get("alert") or rule["record"] for rule in rules}:
        raise UserError(f"no rule below rules/prometheus is called {', '.join(sorted(unknown))}; see there")
    jobs = list(work(only))
    with ThreadPoolExecutor(cpu_count() or 2) as pool:
        results = list(pool.map(lambda job: caught(job[0], job[1], stack), jobs))
    survivors = [mutant for (mutant, _), result in zip(jobs, results, strict=True) if not result]
    explained = yaml.safe_load(SURVIVORS.read_text(encoding="utf-8")) or {} if SURVIVORS.exists() else {}
    bad = 0
    for mutant in survivors:
        why = (explained.get(mutant.name) or {}).get(mutant.change)
        bad += why is None
        print(f"survives: {mutant.name}: {mutant.change}: {why or 'NOT EXPLAINED: write a case for it'}")
    share = 1 - len(survivors) / max(len(jobs), 1)
    kept = len(survivors)
    print(f"{len(jobs)} changes, {len(jobs) - kept} caught ({share:.1%}), {kept} survive, {bad} unexplained")
    return int(share < WANTED or bad > 0)


if __name__ == "__main__":
    run(main)
