"""Every query is read by the parser of its language, and names only metrics that some exporter has."""

import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml

from tests.dashboards import promql
from tests.dashboards.model import Target, targets
from tests.dashboards.rules import groups
from tests.rules.metrics import mistakes
from tools import binaries

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("target", targets(loki=False), ids=lambda t: t.name)
def test_promql(target: Target) -> None:
    promql_parser.parse(_filled(target))


@pytest.mark.parametrize("target", targets(loki=False), ids=lambda t: t.name)
def test_metrics_and_labels_are_in_the_catalogue(target: Target) -> None:
    assert not list(mistakes(_filled(target)))


def test_gpu_metrics_are_in_the_counters_file() -> None:
    """DCGM exports what our own list names and nothing else."""
    lines = (ROOT / "components" / "dcgm_counters.csv").read_text().splitlines()
    exported = {line.split(",")[0] for line in lines if line and not line.startswith("#")}
    named = {name for target in targets(loki=False) for name in promql.metrics(_filled(target))}
    assert {name for name in named if name.startswith("DCGM_")} <= exported


def test_recorded_series_are_recorded() -> None:
    recorded = {rule["record"] for group in groups() for rule in group["rules"] if "record" in rule}
    named = {name for target in targets(loki=False) for name in promql.metrics(_filled(target))}
    assert {name for name in named if ":" in name} <= recorded


def test_logql(tmp_path: Path) -> None:
    """lokitool reads rules, so each query becomes a rule; one for log lines is counted."""
    rules = [
        {"record": f"query_{number}", "expr": _metric_query(target)}
        for number, target in enumerate(targets(loki=True), start=1)
    ]
    assert rules
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    command = [str(binaries.find("lokitool")), "rules", "lint", "--dry-run", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout + done.stderr


def _filled(target: Target) -> str:
    return target.panel.dashboard.fill_in(target.expr)


def _metric_query(target: Target) -> str:
    query = _filled(target)
    return f"count_over_time({query} [1m])" if target.panel.raw["type"] == "logs" else query
