"""Do Prometheus and Loki's ruler run the rules of the files, and nothing older?"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from components.alert_rules import HUB
from components.pods import selector
from components.rule_files import RuleFile, Selection
from tools.reach import Part, Reach
from tools.verify.operator import GROUP
from tools.verify.result import Result, some

Loaded = Mapping[str, Counter[str]]
"""Names of rules by group; a name may stand more than once."""


def wanted(selection: Selection) -> Loaded:
    """Groups of the files as the stack ships them, but for those that the hub evaluates."""
    return groups_of(file for file in selection.files if file.name != HUB)


def groups_of(files: Iterable[RuleFile]) -> Loaded:
    """Groups of the files, in the shape of what a Prometheus has loaded."""
    return {
        group["name"]: Counter(rule.get("alert") or rule["record"] for rule in group["rules"])
        for file in files
        for group in file.groups
    }


def prometheus(part: Part, cluster: Reach, namespace: str, selection: Selection) -> Result:
    """The objects in the cluster say what the files say, and Prometheus has loaded them and can evaluate them."""
    groups = part.read("/api/v1/rules")["data"]["groups"]
    labels = ",".join(f"{key}={value}" for key, value in selector("alert-rules").items())
    objects = cluster.get(f"prometheusrules.{GROUP}", f"--namespace={namespace}", f"--selector={labels}")["items"]
    faults = [*differences(wanted(selection), loaded(groups)), *stale(objects, selection), *failing(groups)]
    return _result("Prometheus", wanted(selection), faults, f"kubectl -n {namespace} describe prometheusrules")


def loki(part: Part, selection: Selection) -> Result:
    """The ruler has loaded the files; a group that it has beyond them is an older one."""
    groups = part.read("/prometheus/api/v1/rules")["data"]["groups"]
    have = loaded(groups)
    older = [f"group {name} is in no file" for name in sorted(set(have) - set(wanted(selection)))]
    faults = [*differences(wanted(selection), have), *older, *failing(groups)]
    return _result("Loki's ruler", wanted(selection), faults, "its log says why a file was not loaded")


def loaded(groups: Iterable[Mapping[str, Any]]) -> Loaded:
    """Groups as the API of Prometheus and of the ruler gives them. Several of one name count together."""
    found: dict[str, Counter[str]] = {}
    for group in groups:
        found.setdefault(group["name"], Counter()).update(rule["name"] for rule in group["rules"])
    return found


def differences(files: Loaded, have: Loaded) -> list[str]:
    """What is missing or different in the groups of the files, in words."""
    faults = []
    for name, rules in files.items():
        if name not in have:
            faults.append(f"group {name} is not loaded")
        elif have[name] != rules:
            missing, more = sorted((rules - have[name]).elements()), sorted((have[name] - rules).elements())
            words = [f"lacks {some(missing)}"] if missing else []
            words += [f"also has {some(more)}"] if more else []
            faults.append(f"group {name} {' and '.join(words)}")
    return faults


def stale(objects: Iterable[Mapping[str, Any]], selection: Selection) -> list[str]:
    """Objects whose content is not that of the file: another threshold, or a file that is gone."""
    there = {item["metadata"]["name"]: item["spec"]["groups"] for item in objects}
    files = {file.name: file.groups for file in selection.files}
    faults = [f"{name} differs from its file" for name, groups in files.items() if there.get(name, groups) != groups]
    return faults + [f"{name} is in no file" for name in sorted(set(there) - set(files))]


def failing(groups: Iterable[Mapping[str, Any]]) -> list[str]:
    """Rules whose last evaluation failed."""
    return [
        f"{rule['name']} fails: {rule.get('lastError', '')}"
        for group in groups
        for rule in group["rules"]
        if rule["health"] == "err"
    ]


def _result(where: str, files: Loaded, faults: list[str], todo: str) -> Result:
    counted = f"{sum(rules.total() for rules in files.values())} rules in {len(files)} groups of the files"
    return Result("", not faults, some(faults, 3) if faults else f"{where} runs {counted}", todo)
