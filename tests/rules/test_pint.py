"""pint, a linter for Prometheus rules, reads what each stack ships. No check is switched off.

Without a Prometheus it leaves out the checks that ask one; test_metrics.py does their work from the metric catalogue.
"""

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.rules.stacks import EVERYTHING, Stack, rendered, stacks
from tools import binaries

EXPLAINED = Path(__file__).parent / "pint.yaml"
_NAME = re.compile(r"^\s*- (?:alert|record): (\S+)$")


@pytest.fixture(scope="module")
def pint() -> Path:
    return binaries.find("pint")


@cache
def explained() -> set[tuple[str, str]]:
    """Check and rule of each finding that stays."""
    entries = yaml.safe_load(EXPLAINED.read_text(encoding="utf-8"))
    assert all(len(entry["why"]) > 20 for entry in entries)
    return {(entry["check"], rule) for entry in entries for rule in entry["rules"]}


def findings(pint: Path, folder: Path) -> tuple[set[tuple[str, str]], str]:
    """Check and rule of all that pint finds in the rule files of a folder, and its own words."""
    report = folder / "report.json"
    files = sorted(folder.glob("*.yaml"))
    options = ["--min-severity=info", f"--json={report}"]
    command: list[str | Path] = [pint, "--offline", "--no-color", "lint", *options, *files]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert report.exists(), done.stdout + done.stderr
    assert f"entries={sum(_entries(file) for file in files)} " in done.stderr, done.stderr
    found = json.loads(report.read_text())
    return {(one["reporter"], _rule(Path(one["path"]), one["lines"][0])) for one in found}, done.stdout + done.stderr


@pytest.mark.parametrize("stack", stacks(), ids=lambda stack: stack.name)
def test_every_finding_is_explained(stack: Stack, pint: Path, tmp_path: Path) -> None:
    for file in rendered(stack):
        text = yaml.safe_dump({"groups": file.groups}, sort_keys=False, width=10_000)
        (tmp_path / f"{file.name}.yaml").write_text(text, encoding="utf-8")
    found, words = findings(pint, tmp_path)
    assert not found - explained(), "mend it, or write the reason into pint.yaml"
    if stack.name == EVERYTHING:
        assert not explained() - found, "an entry of pint.yaml that is not needed any more"
    assert "Bug" not in words


def test_a_bad_rule_is_found(pint: Path, tmp_path: Path) -> None:
    """The test above is worth something only if pint does find."""
    rule = {
        "alert": "Bad",
        "expr": "sum by (cluster) (up) == 0",
        "annotations": {"summary": "{{ $labels.pod }} is down"},
    }
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}, sort_keys=False))
    found, words = findings(pint, tmp_path)
    assert found == {("alerts/template", "Bad")}
    assert "Bug" in words


def _entries(file: Path) -> int:
    return sum(_NAME.match(line) is not None for line in file.read_text().splitlines())


def _rule(file: Path, line: int) -> str:
    """The name of the rule that a line of a file belongs to."""
    names = [match[1] for text in file.read_text().splitlines()[:line] if (match := _NAME.match(text))]
    return names[-1]
