"""Changes of alerts that no case covers."""

from typing import Any

import pytest

from components import rule_files
from tests.unit.diff_objects import alert, rule_file, side
from tools.diff.alerts import marks
from tools.diff.change import UNPROVEN
from tools.diff.compare import compare, refused
from tools.diff.proof import cases, moves_with, unproven
from tools.diff.report import markdown
from tools.synth import ROOT

MOVES = [{"promql": {"around": {"used": ["threshold + 1", "threshold - 1"]}, "rule": {"threshold": 80}}}]
STANDS = [{"promql": {"series": {"cpu": "cpu 99"}, "rule": {"threshold": 80}, "summary": "above the threshold"}}]
SAME, OTHER = "its cases are the same at every threshold", "its expression changed and its cases did not"
LINES = [{"logql": {"fires": {"a": "x"}}}]
ABSENT = [{"logql": {"fires": {"a": "x"}, "absent": True}}]


@pytest.mark.parametrize(
    ("before", "now", "old", "new", "reasons"),
    [
        ([], [alert()], {}, {}, ["it has no case"]),
        ([], [alert()], {}, {"Hot": STANDS}, []),
        ([alert()], [alert()], {}, {}, []),
        ([alert()], [alert(threshold=85)], {"Hot": MOVES}, {"Hot": MOVES}, []),
        (
            [alert()],
            [alert(threshold=85)],
            {"Hot": STANDS},
            {"Hot": STANDS},
            [SAME],
        ),
        ([alert()], [alert(threshold=85)], {"Hot": LINES}, {"Hot": LINES}, []),
        (
            [alert()],
            [alert(threshold=85)],
            {"Hot": ABSENT},
            {"Hot": ABSENT},
            [SAME],
        ),
        ([alert()], [{**alert(), "for": "9m"}], {"Hot": STANDS}, {"Hot": STANDS}, []),
        (
            [alert()],
            [{**alert(), "expr": "up == 0"}],
            {"Hot": MOVES},
            {"Hot": MOVES},
            [OTHER],
        ),
        ([alert()], [{**alert(), "expr": "up == 0"}], {"Hot": MOVES}, {"Hot": STANDS}, []),
        ([alert()], [], {"Hot": MOVES}, {}, []),
    ],
)
def test_changes_that_no_case_covers(
    before: list[Any], now: list[Any], old: dict[str, Any], new: dict[str, Any], reasons: list[str]
) -> None:
    found = list(unproven([rule_file(*before)], [rule_file(*now)], old, new))
    assert [change.detail for change in found] == reasons
    assert all((change.what, change.gate, change.loud) == ("Hot", UNPROVEN, True) for change in found)


def test_unproven_changes_stand_in_the_summary_and_can_be_refused() -> None:
    sides_ = side(rule_file(alert())), side(rule_file(alert(threshold=85)))
    for one in sides_:
        one["dev"]["cases"] = {"Hot": STANDS}
    (cluster,) = compare(*sides_)
    assert "- **dev: alert Hot is unproven: its cases are the same at every threshold**" in markdown([cluster], "main")
    assert refused([cluster], [UNPROVEN]) == ["dev: Hot changed (unproven)"]


def test_most_cases_move_with_their_values() -> None:
    """The other way round: a case that is no arithmetic over a value is named here, so that each is known."""
    known = cases(ROOT)
    files = [file for kind in ("prometheus", "loki") for file in rule_files.load(ROOT / "rules" / kind)]
    rules = [rule for file in files for group in file.groups for rule in group["rules"] if rule.get("alert") in known]
    fixed = {
        (rule["alert"], name)
        for rule in rules
        for name in marks(rule["expr"])
        if not any(moves_with(entry, name) for entry in known[rule["alert"]])
    }
    assert len(rules) > 100
    assert fixed <= {("ExporterDown", "threshold"), ("PodEvicted", "threshold")}
