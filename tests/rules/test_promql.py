"""Every PromQL alert fires when it should and stays silent when it should, as each stack ships it."""

from pathlib import Path

import pytest

from components.rule_files import component
from tests.rules import cases, promtool
from tests.rules.stacks import EVERYTHING, RULES, Stack, rendered, sources, stacks
from tests.rules.suite import find, write


@pytest.mark.parametrize("topic", cases.topics())
@pytest.mark.parametrize("stack", stacks(), ids=lambda stack: stack.name)
def test_alerts_fire_and_stay_silent(stack: Stack, topic: str, tmp_path: Path) -> None:
    files = rendered(stack)
    shipped = [(case, rule) for case in cases.load(topic) if (rule := find(case, files, topic))]
    if stack.name == EVERYTHING:
        assert len(shipped) == len(cases.load(topic)), "a case names an alert that the rule file does not have"
    written = [
        write(case, rule, stack, tmp_path, f"{position:02}-{case.alert}")
        for position, (case, rule) in enumerate(shipped)
    ]
    assert not written or (failures := promtool.test(written)) == "", failures


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
