"""Rule files: reading, selecting, tuning, texts."""

from pathlib import Path
from typing import Any

import pytest

from components import rule_files
from components.rule_files import RuleFile, RuleFileError, build, check_tuning, load
from settings import SettingsError
from settings.alerts import AlertSettings

RULE: dict[str, Any] = {
    "alert": "HighCPUUsage",
    "expr": "x\n> 80  # tune threshold percent\n",
    "for": "5m",
    "labels": {"severity": "warning", "team": "platform", "component": "nodes"},
    "annotations": {"summary": "above ${threshold} for ${for} on ${cluster}"},
}
FILES = [RuleFile("nodes", [{"name": "nodes", "interval": "30s", "rules": [RULE]}])]
RUNS = {"nodes": None, "gpu": "dcgm.mode is off"}


def alerts(**tune: Any) -> AlertSettings:
    return AlertSettings.model_validate({"runbooksUrl": "https://runbooks.example.com", "tune": tune})


def only(selection: rule_files.Selection) -> dict[str, Any]:
    [rule] = selection.alerts()
    return rule


def test_texts_and_labels_are_filled() -> None:
    rule = only(build(FILES, alerts(), RUNS, "prod"))
    assert rule["annotations"] == {
        "summary": "above 80 % for 5m on prod",
        "runbook_url": "https://runbooks.example.com/HighCPUUsage.md",
    }
    assert rule["labels"]["cluster"] == "prod"


def test_tuning_changes_rule_and_text() -> None:
    tuned = alerts(HighCPUUsage={"threshold": "90%", "for": "15m", "severity": "critical", "labels": {"tier": "gold"}})
    rule = only(build(FILES, tuned, RUNS, "prod"))
    assert "> 90  #" in rule["expr"]
    assert rule["for"] == "15m"
    assert rule["labels"] == {**RULE["labels"], "cluster": "prod", "severity": "critical", "tier": "gold"}
    assert rule["annotations"]["summary"] == "above 90 % for 15m on prod"


def test_the_files_themselves_stay_as_they_are() -> None:
    build(FILES, alerts(HighCPUUsage={"threshold": "90%"}), RUNS, "prod")
    assert "> 80" in RULE["expr"]


def test_disabled_is_left_out_and_listed() -> None:
    disabled = {"disabled": {"reason": "batch nodes run hot", "until": "2099-01-01"}}
    selection = build(FILES, alerts(HighCPUUsage=disabled), RUNS, "prod")
    assert selection.alerts() == []
    assert selection.left_out[0].why == "disabled until 2099-01-01: batch nodes run hot"


def test_what_does_not_run_is_left_out() -> None:
    files = [RuleFile("gpu", [{"name": "gpu.cards", "rules": [RULE]}])]
    selection = build(files, alerts(), RUNS, "prod")
    assert selection.files == []
    assert [(left.alert, left.why) for left in selection.left_out] == [("HighCPUUsage", "dcgm.mode is off")]


def test_unknown_component_is_refused() -> None:
    with pytest.raises(RuleFileError, match=r"group foo of foo\.yaml belongs to no known component"):
        build([RuleFile("foo", [{"name": "foo", "rules": [RULE]}])], alerts(), RUNS, "prod")


def test_unknown_placeholder_is_refused() -> None:
    rule = {**RULE, "annotations": {"summary": "above ${treshold}"}}
    with pytest.raises(RuleFileError, match=r"HighCPUUsage has the placeholder \$\{treshold\}; known are cluster, for"):
        build([RuleFile("nodes", [{"name": "nodes", "rules": [rule]}])], alerts(), RUNS, "prod")


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ({"HighCPUUsag": {"for": "5m"}}, "no alert has this name; did you mean HighCPUUsage?"),
        ({"HighCPUUsage": {"treshold": "80%"}}, "the alert has no value of this name; it has threshold"),
        ({"HighCPUUsage": {"threshold": 80}}, "80 is not in percent; write for example 85%"),
    ],
)
def test_wrong_tuning_is_named(tune: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        check_tuning(FILES, alerts(**tune))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("groups: [", "is not readable as YAML"),
        ("groups: {}", "needs `groups:`"),
        ("[]", "needs `groups:`"),
        ("groups: [{name: a, rules: [], name: b}]", "key 'name' stands twice"),
        ("groups:\n- rules: []\n", "group 1 needs a name"),
        ("&a [*a]", "an alias stands within what it stands for"),
        ("[" * 5000, "is nested too deeply"),
    ],
)
def test_unreadable_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(RuleFileError, match=message):
        load(tmp_path)


def test_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"groups: \xff\xfe")
    with pytest.raises(RuleFileError, match="is not UTF-8: invalid start byte at byte 8"):
        load(tmp_path)
