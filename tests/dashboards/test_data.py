"""Every query returns data: on a real Prometheus and a real Loki that hold a healthy and a faulty cluster.

A panel with a `noValue` text is empty when all is well; every other panel shows something in both clusters.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboards import daemons, promql
from tests.dashboards.daemons import CLUSTERS, Server
from tests.dashboards.model import Dashboard, Panel, Target, dashboards, panels, targets
from tests.dashboards.rules import recording_groups
from tools import binaries

# Panels with a `noValue` text that show something in a healthy cluster too, and why they have the text.
OFTEN_FULL = {
    ("service-health", "Services up"): "all down",
    ("service-health", "Availability 30 d"): "a stack with less than 31 days of retention does not record it",
    ("kubernetes-failures", "Quota used"): "no quota",
    ("nodes", "Time lost to waiting"): "kernels that do not measure pressure",
    ("workloads", "Network by pod"): "all pods are below 1 kB/s",
    ("workloads", "Volumes, used share"): "no volume tells its use",
    ("workloads", "Quota used"): "no quota",
    ("certificates", "Client certificates of the API server"): "no client certificates",
    ("alerts-overview", "Suppressed"): "the number 0",
    ("alerts-overview", "Silences"): "the number 0",
    ("alerts-overview", "Dead-man signal"): "the alert is missing",
    ("monitoring-stack", "Dead-man signal"): "the alert is missing",
    ("monitoring-stack", "Notifications failed"): "nothing was sent yet",
    ("flux", "Ready"): "none is ready",
    ("gpu", "NVLink errors"): "cards without NVLink",
    ("probes", "DNS probe by phase"): "no such probes",
    ("probes", "ICMP round trip"): "no such probes",
    ("monitoring-stack", "Log lines lost"): "Loki has the series only after its first refused line",
}
# Variable: the value that is chosen, the label that it narrows, and the one value of the label that remains.
CHOSEN = {"node": ("worker-1", "node", "worker-1"), "workload": ("web", "pod", "web-0")}
# What a query gives in the healthy cluster, by hand from its series. A query may give data and be wrong.
FIGURES: dict[tuple[str, str, str], list[float]] = {
    ("nodes", "Nodes with a fault", "A"): [0],
    ("nodes", "Oldest heartbeat", "A"): [10],
    ("nodes", "All nodes, the fullest first", "A"): [0, 0],
    ("nodes", "All nodes, the fullest first", "B"): [10, 10],
    ("nodes", "All nodes, the fullest first", "C"): [37.5, 37.5],
    ("nodes", "All nodes, the fullest first", "D"): [40, 40],
    ("nodes", "All nodes, the fullest first", "E"): [100 * 2 / 110],
    ("nodes", "All nodes, the fullest first", "F"): [100 * 2 / 4],
    ("nodes", "All nodes, the fullest first", "G"): [100 * 4.2 / 16],
    ("nodes", "Load per core", "A"): [0.2, 0.2],
    ("nodes", "Disk space", "A"): [60, 60],
    ("nodes", "Disk space", "B"): [60e9, 60e9],
    ("nodes", "Disk space", "C"): [100 * 5 / 6, 100 * 5 / 6],
    ("workloads", "Containers", "A"): [1],
    ("workloads", "Containers", "B"): [0],
    ("workloads", "Namespaces", "A"): [5 / 30, 10 / 30],
    ("workloads", "Namespaces", "B"): [10 / 30 / 2],
    ("workloads", "Namespaces", "C"): [10 / 30 / 4],
    ("workloads", "Namespaces", "D"): [1.05e9, 2.89e9],
    ("workloads", "Namespaces", "E"): [1.05 / 2.2, 2.89 / 2],
    ("workloads", "Namespaces", "F"): [0.9 / 3, 2 / 4],
    ("workloads", "Pods", "B"): [10 / 30 / 2],
    ("workloads", "Pods", "E"): [0.95 / 2, 0.1 / 0.2, 2 / 2, 0.8 / 1, 0.09 / 0.1],
    ("workloads", "Pods", "F"): [0.9 / 3, 2 / 4],
    ("workloads", "Memory", "B"): [4.2e9],
    ("workloads", "Memory", "C"): [0.95e9, 0.1e9, 2e9, 0.8e9, 0.09e9],
    ("workloads", "Network by pod", "A"): [10000, 10000],
}
HOUR = 3600
PROGRAMS = ("promtool", "prometheus", "loki")


class Stack:
    """Both servers, and queries as Grafana sends them."""

    def __init__(self, prometheus: tuple[Server, int, int], loki: tuple[Server, int], recorded: set[str]) -> None:
        self.prometheus, self.end, self.recorded_end = prometheus
        (self.loki, self.lines_end), self.recorded = loki, recorded

    def ask(self, target: Target, cluster: str, **chosen: str) -> list[dict[str, Any]]:
        """The series or streams that the query gives for the last hour, by the values chosen of variables."""
        query = target.panel.dashboard.fill_in(target.expr, cluster=cluster, **chosen)
        if cluster == "faulty":
            # A count that falls back to zero always gives data: ask without the fallback.
            query = query.replace(" or vector(0)", "")
        if target.is_loki:
            server, path, now = self.loki, "/loki/api/v1/query", self.lines_end
        else:
            # Recorded series begin when the server starts; the others end a moment before.
            recorded = bool(self.recorded & promql.metrics(query))
            server, path, now = self.prometheus, "/api/v1/query", self.recorded_end if recorded else self.end
        if target.is_instant:
            return list(server.get(path, query=query, time=str(now))["result"])
        window = {"start": str(now - HOUR), "end": str(now), "step": "60"}
        return list(server.get(f"{path}_range", query=query, **window)["result"])

    def newest(self, target: Target, cluster: str) -> list[float]:
        """The newest value of each series."""
        answer = self.ask(target, cluster)
        return [float((series["value"] if "value" in series else series["values"][-1])[1]) for series in answer]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("dashboards")
    programs = {name: binaries.find(name) for name in PROGRAMS}
    recorded = _recorded()
    with (
        daemons.prometheus(programs, folder, recorded) as prometheus,
        daemons.loki(programs, folder) as loki,
    ):
        yield Stack(prometheus, loki, recorded)


def _recorded() -> set[str]:
    """Names that Prometheus records and some dashboard reads."""
    named = {n for t in targets(loki=False) for n in promql.metrics(t.panel.dashboard.fill_in(t.expr))}
    return named & {rule["record"] for group in recording_groups() for rule in group["rules"]}


ALL_TARGETS = [*targets(loki=False), *targets(loki=True)]


@pytest.mark.parametrize("target", ALL_TARGETS, ids=lambda t: t.name)
def test_query_returns_data(stack: Stack, target: Target) -> None:
    answer = stack.ask(target, "faulty")
    assert answer, "no data in the faulty cluster"
    if target.panel.raw["type"] != "logs":
        labels = {label for series in answer for label in series["metric"]}
        assert set(re.findall(r"{{\s*(\w+)\s*}}", target.raw.get("legendFormat", ""))) <= labels
    if not target.panel.empty_when_healthy:
        assert stack.ask(target, "healthy"), "no data in the healthy cluster, and the panel has no noValue text"


@pytest.mark.parametrize("key", FIGURES, ids=" ".join)
def test_figures_are_right(stack: Stack, key: tuple[str, str, str]) -> None:
    [target] = [one for one in targets(loki=False) if (*one.panel.key, one.raw["refId"]) == key]
    assert sorted(stack.newest(target, "healthy")) == pytest.approx(sorted(FIGURES[key]), rel=0.01)


@pytest.mark.parametrize("target", ALL_TARGETS, ids=lambda t: t.name)
def test_a_chosen_value_leaves_out_the_others(stack: Stack, target: Target) -> None:
    for name, (value, label, wanted) in CHOSEN.items():
        if name in target.panel.dashboard.variables:
            every = {series["metric"].get(label) for series in stack.ask(target, "healthy")}
            chosen = {series["metric"].get(label) for series in stack.ask(target, "healthy", **{name: value})}
            assert chosen - {None} == every & {wanted}


@pytest.mark.parametrize("panel", list(panels()), ids=lambda p: p.name)
def test_panel_is_empty_when_healthy(stack: Stack, panel: Panel) -> None:
    if panel.empty_when_healthy:
        has_data = any(stack.ask(target, "healthy") for target in panel.targets)
        assert has_data == (panel.key in OFTEN_FULL)


@pytest.mark.parametrize("panel", [p for p in panels() if "alertThresholds" in p.raw], ids=lambda p: p.name)
def test_threshold_parts_healthy_from_faulty(stack: Stack, panel: Panel) -> None:
    """The faulty cluster is beyond the threshold of the alert, the healthy one is not."""
    for entry in panel.raw["alertThresholds"]:
        steps = panel.properties(entry.get("column"))["thresholds"]["steps"]
        limit, low_is_bad = steps[entry["step"]]["value"], steps[0]["color"] == "red"
        asked = _of_column(panel, entry["column"]) if "column" in entry else panel.targets
        values = {c: [v for t in asked for v in stack.newest(t, c)] for c in CLUSTERS}
        beyond = {c: [v for v in found if (v < limit if low_is_bad else v >= limit)] for c, found in values.items()}
        assert beyond["faulty"], f"{entry['alert']}: {values['faulty']} against {limit}"
        assert not beyond["healthy"], f"{entry['alert']}: {values['healthy']} against {limit}"


def _of_column(panel: Panel, column: str) -> list[Target]:
    """The query of a table's column; that of a table with one query gives the field `Value`."""
    [organize] = [entry["options"] for entry in panel.raw["transformations"] if entry["id"] == "organize"]
    fields = {name for name, title in organize["renameByName"].items() if title == column}
    return [target for target in panel.targets if fields & {"Value", f"Value #{target.raw['refId']}"}]


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda d: d.uid)
def test_variables_have_values(stack: Stack, dashboard: Dashboard) -> None:
    for name, variable in dashboard.variables.items():
        if variable["type"] != "query":
            continue
        assert _values(stack, dashboard, variable), f"${name} has no value"


def _values(stack: Stack, dashboard: Dashboard, variable: dict[str, Any]) -> list[Any]:
    window = {"start": str(stack.end - HOUR), "end": str(stack.end)}
    if variable["datasource"]["type"] == "loki":
        stream = dashboard.fill_in(variable["query"]["stream"], cluster="faulty")
        query = {"query": stream} if stream else {}
        path = f"/loki/api/v1/label/{variable['query']['label']}/values"
        return list(stack.loki.get(path, **query, start=f"{stack.end - HOUR}000000000"))
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
    assert match
    selector = dashboard.fill_in(match[1], cluster="faulty")
    return list(stack.prometheus.get(f"/api/v1/label/{match[2]}/values", **{"match[]": selector}, **window))


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda d: d.uid)
def test_annotations_return_data(stack: Stack, dashboard: Dashboard) -> None:
    """Some alert of the dashboard's components fires in a real cluster; here the selector is only run."""
    (query,) = [a["expr"] for a in dashboard.raw["annotations"]["list"] if "expr" in a]
    text = re.sub(r', component=~"[^"]*"', "", dashboard.fill_in(query, cluster="faulty"))
    assert stack.prometheus.get("/api/v1/query", query=text, time=str(stack.end))["result"]
