"""Every PromQL alert fires when it should and stays silent when it should, as each stack ships it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.rule_files import component
from settings.alerts import AlertSettings
from tests.rules import cases, promtool
from tests.rules.cases import Case
from tests.rules.conftest import REPEATED
from tests.rules.stacks import EVERYTHING, RULES, Stack, rendered, sources, stacks
from tests.rules.suite import Shipped, differs, find, write


@pytest.mark.parametrize("topic", cases.topics())
@pytest.mark.parametrize("stack", stacks(), ids=lambda stack: stack.name)
def test_alerts_fire_and_stay_silent(
    stack: Stack, topic: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    shipped = chosen = of_topic(stack, topic)
    if stack.name == EVERYTHING:
        assert len(shipped) == len(cases.load(topic)), "a case names an alert that the rule file does not have"
    else:
        chosen = own(stack, topic)
        record_property(REPEATED, len(shipped) - len(chosen))
    written = [
        write(case, rule, stack, tmp_path, f"{position:02}-{case.alert}")
        for position, (case, rule) in enumerate(chosen)
    ]
    assert not written or (failures := promtool.test(written)) == "", failures


def of_topic(stack: Stack, topic: str) -> list[tuple[Case, Shipped]]:
    """The cases of a topic with the alerts that the stack ships of it."""
    files = rendered(stack)
    return [(case, rule) for case in cases.load(topic) if (rule := find(case, files, topic))]


def own(stack: Stack, topic: str) -> list[tuple[Case, Shipped]]:
    """Those whose alert is not that of the untuned stack, whose cases are run anyway."""
    untuned = rendered(stacks()[0])
    return [(case, rule) for case, rule in of_topic(stack, topic) if differs(rule, find(case, untuned, topic), stack)]


@pytest.mark.parametrize("stack", stacks()[1:], ids=lambda stack: stack.name)
def test_every_alert_that_a_stack_tunes_is_run_for_it(stack: Stack) -> None:
    run = {case.alert for topic in cases.topics() for case, _ in own(stack, topic)}
    shipped = {case.alert for topic in cases.topics() for case, _ in of_topic(stack, topic)}
    assert run >= shipped & set(stack.alerts.tune)


@pytest.mark.parametrize(
    ("topic", "alert", "tuning"),
    [
        ("nodes", "HighCPUUsage", {"threshold": "91%"}),
        ("nodes", "HighCPUUsage", {"for": "11m"}),
        ("nodes", "HighCPUUsage", {"severity": "critical"}),
        ("nodes", "HighCPUUsage", {"labels": {"a": "b"}}),
    ],
)
def test_every_kind_of_tuning_makes_an_alert_the_stacks_own(topic: str, alert: str, tuning: dict[str, Any]) -> None:
    plain = replace(stacks()[0], name="shop", cluster="shop")
    assert own(plain, topic) == []
    tuned = replace(plain, alerts=AlertSettings.model_validate({"tune": {alert: tuning}}))
    assert {case.alert for case, _ in own(tuned, topic)} == {alert}


def test_availability_recordings() -> None:
    assert promtool.test([Path(__file__).parent / "recordings.yaml"]) == ""


def alerts() -> list[tuple[str, str, str]]:
    """File, group and name of every alert."""
    return [
        (file.name, group["name"], rule["alert"])
        for file in sources()
        for group in file.groups
        for rule in group["rules"]
        if "alert" in rule
    ]


@pytest.mark.parametrize(("topic", "group", "alert"), alerts())
def test_alert_has_a_firing_and_a_silent_case(topic: str, group: str, alert: str) -> None:
    assert (cases.FOLDER / f"{topic}.yaml").exists(), f"no cases for rules/prometheus/{topic}.yaml"
    mine = [case for case in cases.load(topic) if case.alert == alert and case.group in {None, group}]
    assert mine, f"{alert} of group {group} has no case in tests/rules/cases/{topic}.yaml"
    always = alert == "Watchdog"
    assert always or any(case.silent or case.around for case in mine), f"{alert} has no silent case"


def test_every_topic_has_a_rule_file() -> None:
    assert cases.topics() == sorted(path.stem for path in RULES.glob("*.yaml"))


def test_stacks_ship_what_they_run_and_nothing_else() -> None:
    for stack in stacks():
        groups = {component(group) for file in rendered(stack) for group in file.groups}
        assert groups <= {name for name, why in stack.running.items() if why is None}
