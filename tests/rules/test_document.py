"""docs/alerts.md teaches by a real alert and counts right."""

import re
from typing import Any

import yaml

from components import rule_files
from tests.rules import cases
from tests.rules.stacks import ROOT

PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


def test_the_example_is_the_rule_and_the_case_of_the_repository() -> None:
    rule, case = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    [real] = [one for one in alerts("prometheus") if one["alert"] == rule[0]["alert"]]
    assert rule == [real]
    written = yaml.safe_load((cases.FOLDER / "blackbox.yaml").read_text(encoding="utf-8"))
    assert case == {real["alert"]: written[real["alert"]]}


def test_the_table_counts_right() -> None:
    for folder in ("prometheus", "loki"):
        rules = alerts(folder)
        names = len({rule["alert"] for rule in rules})
        assert f"`rules/{folder}/` | {len(rules)} | {names} | {names} |" in PAGE


def alerts(folder: str) -> list[dict[str, Any]]:
    files = rule_files.load(ROOT / "rules" / folder)
    return [rule for file in files for group in file.groups for rule in group["rules"] if "alert" in rule]
