"""The rules of Grafana's dashboard-linter, and what replaces those that do not suit this stack.

Not kept: template-job, template-instance, target-job and target-instance (every query with `job=~"$job",
instance=~"$instance"`). Our dashboards ask by cluster, namespace and service; the job is a literal where several jobs
export the metric. In their place: `target-cluster` and `target-source`. The name of a datasource variable is
`datasource` for Prometheus, also beside `loki_datasource`.
"""

import re
from collections.abc import Callable

import promql_parser
import pytest

from tests.dashboards import promql
from tests.dashboards.model import Panel, Target, dashboards, panels

# (rule, dashboard, panel): why this panel is an exception.
_GAUGE = "Promtail's metric is a gauge in spite of its name"
_WINDOW = "the window of the alert, or of the words of the title"
EXCEPTIONS = {
    ("target-counter-agg", "loki-promtail", "Bytes not yet read"): _GAUGE,
    ("target-counter-agg", "loki-promtail", "Files followed"): _GAUGE,
    ("target-counter-agg", "gpu", "Uncorrectable ECC errors"): "the count since the driver was loaded is what matters",
    ("target-counter-agg", "cluster-overview", "Load per core"): "the series are only counted: one for each core",
    ("target-rate-interval", "loki-promtail", "Rule evaluations that failed"): _WINDOW,
    ("target-rate-interval", "argo-cd", "Syncs by result"): _WINDOW,
}
# Metrics that several jobs export: without a job, a namespace or a name a query would mix them.
SHARED = re.compile(r"(kube|node|kubelet|container|apiserver|coredns|prober|process|workqueue|controller_runtime)_.+")
UNITS_OF_NOTHING = {"none"}
Rule = Callable[[Panel], list[str]]


def panel_title_description(panel: Panel) -> list[str]:
    bad = not panel.title or len(panel.raw["description"]) < 20 or not panel.raw["description"].endswith(".")
    return ["needs a title and a description that is a sentence"] if bad else []


def panel_units(panel: Panel) -> list[str]:
    unit = panel.defaults.get("unit")
    if not unit:
        return ["has no unit"]
    needs_none = panel.raw["type"] == "logs" or panel.defaults.get("mappings")
    return [f"unit {unit} without a value mapping"] if unit in UNITS_OF_NOTHING and not needs_none else []


def panel_no_targets(panel: Panel) -> list[str]:
    return [] if panel.targets and all(target.expr.strip() for target in panel.targets) else ["has no query"]


def panel_datasource(panel: Panel) -> list[str]:
    allowed = [
        {"type": "prometheus", "uid": "${datasource}"},
        {"type": "loki", "uid": "${loki_datasource}"},
    ]
    used = [panel.raw["datasource"], *(target.raw["datasource"] for target in panel.targets)]
    return [f"data source {source}" for source in used if source not in allowed or source != used[0]]


def target_cluster(panel: Panel) -> list[str]:
    return [f"{target.expr} does not filter by cluster" for target in panel.targets if not _filters_cluster(target)]


def target_source(panel: Panel) -> list[str]:
    return [
        f"{metric} without job, namespace or name"
        for target in _promql(panel)
        for metric, matchers in promql.matchers(_parseable(target))
        if SHARED.fullmatch(metric) and not {"job", "namespace", "name"} & set(matchers)
    ]


def target_rate_interval(panel: Panel) -> list[str]:
    """A graph takes its window from the zoom; a single value may have a fixed one."""
    return [
        f"{target.expr}: use [$__rate_interval]"
        for target in _promql(panel)
        if not target.is_instant and re.search(r"\[(?!\$__rate_interval\])", target.expr)
    ]


def target_logql_auto(panel: Panel) -> list[str]:
    return [
        f"{target.expr}: use [$__auto]"
        for target in panel.targets
        if target.is_loki and re.search(r"\[(?!\$__auto\]|5m\])[^\]]*\]\)", target.expr)
    ] + [
        f"{target.expr}: use [$__auto]"
        for target in panel.targets
        if target.is_loki and not target.is_instant and "[5m]" in target.expr
    ]


def target_counter_agg(panel: Panel) -> list[str]:
    return [
        f"{metric} without rate or increase"
        for target in _promql(panel)
        for metric in promql.uncounted(_parseable(target))
        if metric.lower().endswith("_total")
    ]


def target_cheap(panel: Panel) -> list[str]:
    """A graph over 30 days reads each sample once: no subquery, no long window at every step, no topk at every step."""
    bad = re.compile(r"\[[^\]]*:[^\]]*\]|\[\d+[hdw]\]|\btopk\(")
    return [f"{t.expr} is dear in a graph" for t in _promql(panel) if not t.is_instant and bad.search(t.expr)]


RULES: dict[str, Rule] = {
    "panel-title-description": panel_title_description,
    "panel-units": panel_units,
    "panel-no-targets": panel_no_targets,
    "panel-datasource": panel_datasource,
    "target-cluster": target_cluster,
    "target-source": target_source,
    "target-rate-interval": target_rate_interval,
    "target-logql-auto": target_logql_auto,
    "target-counter-agg": target_counter_agg,
    "target-cheap": target_cheap,
}


@pytest.mark.parametrize("rule", RULES)
def test_panels(rule: str) -> None:
    found = {panel.key: problems for panel in panels() if (problems := RULES[rule](panel))}
    excepted = {key[1:] for key in EXCEPTIONS if key[0] == rule}
    assert not {key: problems for key, problems in found.items() if key not in excepted}
    assert excepted <= set(found), "an exception that is not needed any more"


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda d: d.uid)
def test_template_variables(dashboard) -> None:  # type: ignore[no-untyped-def]
    """template-datasource, template-label-promql, template-on-time-change-reload, uneditable."""
    assert dashboard.raw["editable"] is False
    variables = dashboard.variables
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["datasource"]["label"] == "Prometheus data source"
    assert ("loki_datasource" in variables) == ("${loki_datasource}" in dashboard.text)
    if "loki_datasource" in variables:
        assert variables["loki_datasource"]["query"] == "loki"
        assert variables["loki_datasource"]["label"] == "Loki data source"
    cluster = variables["cluster"]
    assert cluster["type"] == "query"
    assert cluster["multi"]
    assert cluster["includeAll"]
    assert cluster["allValue"] == ".+", "Loki refuses a selector that may be empty"
    for variable in variables.values():
        assert variable["label"]
        if variable["type"] != "query":
            continue
        assert variable["refresh"] == 2, "values follow the time range"
        if variable["datasource"]["type"] == "prometheus":
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            assert match, variable["query"]
            promql_parser.parse(dashboard.fill_in(match[1]))
        else:
            assert variable["query"]["type"] == 1


def _promql(panel: Panel) -> list[Target]:
    return [target for target in panel.targets if not target.is_loki]


def _parseable(target: Target) -> str:
    return target.panel.dashboard.fill_in(target.expr)


def _filters_cluster(target: Target) -> bool:
    if target.is_loki:
        return 'cluster=~"$cluster"' in target.expr
    found = promql.matchers(target.panel.dashboard.fill_in(target.expr, cluster="CLUSTER"))
    return all(matchers.get("cluster") == "CLUSTER" for _, matchers in found)
