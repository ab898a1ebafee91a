"""Every rule names only metrics and labels that its exporter has, and that no setting of the stack switches off."""

from typing import Any

import pytest
import yaml

from components import chart_targets
from tests.rules.metrics import FOLDER, mistakes, used
from tests.rules.stacks import ROOT, sources
from tools.rules import stack_settings

RULES: list[dict[str, Any]] = [rule for file in sources() for group in file.groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_metrics_and_labels_exist(rule: dict[str, Any]) -> None:
    assert mistakes(rule["expr"]) == []


@pytest.mark.parametrize(
    ("expr", "wrong"),
    [
        ("kube_pod_infos", "no exporter has the metric kube_pod_infos"),
        ('kube_pod_info{phase="Pending"}', "kube_pod_info of kube-state-metrics has no label phase"),
        ("sum by (zone) (up)", "nothing in `up{}` has the label zone"),
        ("up * on (pod) group_left (nodename) kube_pod_info", "nothing in `kube_pod_info{}` has the label nodename"),
        ("up and on (lease) kube_pod_info", "nothing in `up{}` has the label lease"),
    ],
)
def test_the_check_finds(expr: str, wrong: str) -> None:
    assert mistakes(expr) == [wrong]


def test_files_say_where_their_names_are_from() -> None:
    for path in FOLDER.glob("*.yaml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert set(content) == {"exporter", "version", "source", "target", "metrics"}, path.name
        assert len(content["source"]) > 10 and content["version"] and content["metrics"], path.name


def test_our_dcgm_exporter_reads_every_field_that_a_rule_uses() -> None:
    lines = (ROOT / "components" / "dcgm_counters.csv").read_text(encoding="utf-8").splitlines()
    exported = {line.split(",")[0].strip() for line in lines if line.startswith("DCGM_")}
    wanted = {name for rule in RULES for name in used(rule["expr"]) if name.startswith("DCGM_")}
    assert wanted <= exported


def test_kube_state_metrics_may_show_the_labels_that_a_rule_uses() -> None:
    values = chart_targets.values(stack_settings("dev"))["kube-state-metrics"]
    assert "endpointslices=[kubernetes.io/service-name]" in values["metricLabelsAllowlist"]
