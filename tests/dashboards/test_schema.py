"""Dashboards as they ship, read strictly with the types that Grafana makes of its own schema."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from components.dashboard_files import Dashboard, load, select
from settings.alerts import AlertSettings
from tests.dashboards.model import FOLDER
from tools import binaries

PLACE = re.compile(r"\[\d+\]")
DEFAULTS = "required field is missing from input"
"""Grafana puts in its own defaults when it loads a dashboard."""
OF_THE_DATASOURCE = {
    f"annotations.list[].AnnotationQuery: unexpected field '{name}'"
    for name in ("tagKeys", "textFormat", "titleFormat")
}
"""Keys of Prometheus' annotations: the schema has only those that all data sources share."""


def findings(text: str, folder: Path) -> set[str]:
    """What Grafana's types have against a dashboard, without numbers of panels."""
    file = folder / "dashboard.json"
    file.write_text(text)
    done = subprocess.run([binaries.find("dashboard-check"), file], capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    lines = [line for line in done.stdout.splitlines() if line != f"{file}:"]
    return {PLACE.sub("[]", line) for line in lines if DEFAULTS not in line}


@pytest.mark.parametrize("dashboard", load(FOLDER), ids=lambda dashboard: dashboard.name)
def test_nothing_is_outside_of_grafanas_schema(dashboard: Dashboard, tmp_path: Path) -> None:
    [shipped] = select([dashboard], [], AlertSettings(), {}).shipped
    assert findings(shipped.text, tmp_path) == OF_THE_DATASOURCE


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("title", 5, "title: "),
        ("gnetID", 1, "unexpected field 'gnetID'"),
        ("panels", [{"type": "stat", "options": {"colour": "red"}}], "unexpected field 'colour'"),
    ],
)
def test_what_is_outside_is_found(key: str, value: object, words: str, tmp_path: Path) -> None:
    content = json.loads((FOLDER / "gpu.json").read_text())
    assert any(words in line for line in findings(json.dumps({**content, key: value}), tmp_path))
