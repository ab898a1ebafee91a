"""The change summary, on small sides."""

import json
from typing import Any

import pytest
import yaml

from tests.unit.diff_objects import alert, item, loki_file, rule_file, side
from tools.diff.alerts import rule_changes
from tools.diff.change import LOST_ALERT, LOST_VOLUME, Change, differing
from tools.diff.compare import Cluster, compare, refused
from tools.diff.dashboards import dashboard_changes
from tools.diff.objects import fixed_fields, image_changes, object_changes, request_changes
from tools.diff.report import MARKER, ROWS, markdown, terminal, words


def routed(receiver: str, rule: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    config = {
        "route": {"receiver": "nobody", "routes": [{"receiver": receiver, "matchers": ['severity="warning"']}]},
        "receivers": [{"name": "nobody"}, {"name": receiver, "webhook_configs": [{"url": "<secret x>"}]}],
    }
    secret = item("Secret", stringData={"alertmanager.yaml": yaml.safe_dump(config)})
    return [secret, rule_file(rule or alert())]


@pytest.mark.parametrize("file", [rule_file, loki_file])
@pytest.mark.parametrize(
    ("before", "now", "detail"),
    [
        (alert(), alert(threshold=85), "threshold 80 % -> 85 %"),
        (alert(), alert(severity="critical"), "severity warning -> critical"),
        (alert(), {**alert(), "for": "10m"}, "for 5m -> 10m"),
        (alert(), {**alert(), "expr": "up == 0"}, "expression"),
        ({**alert(), "expr": "up < 3"}, {**alert(), "expr": "up < 4"}, "number 3 -> 4"),
        (alert(), {**alert(), "annotations": {"summary": "y"}}, "text of summary"),
        (alert(), {**alert(threshold=85), "annotations": {"summary": "y"}}, "threshold 80 % -> 85 %"),
    ],
)
def test_a_changed_alert_in_words(file: Any, before: Any, now: Any, detail: str) -> None:
    assert list(rule_changes([file(before)], [file(now)])) == [Change("alerts", "changed", "Hot", detail)]


def test_added_and_lost_alerts() -> None:
    added, removed = list(rule_changes([rule_file(alert("Old"))], [rule_file(alert("New"))]))
    assert (added.verb, added.what, added.gate) == ("added", "New", "")
    assert (removed.verb, removed.what, removed.gate, removed.loud) == ("removed", "Old", LOST_ALERT, True)


def test_one_of_two_alerts_of_a_name_is_lost() -> None:
    both = [alert(), alert(severity="critical")]
    (change,) = rule_changes([rule_file(*both)], [rule_file(both[1])])
    assert (change.verb, change.detail, change.gate) == ("removed", "warning, for 5m", LOST_ALERT)


def test_an_alert_that_moves_to_another_file_is_no_change() -> None:
    other = rule_file(alert())
    other["metadata"]["name"] = "elsewhere"
    assert not list(rule_changes([rule_file(alert())], [other]))


def test_who_is_told() -> None:
    (cluster,) = compare(side(*routed("team")), side(*routed("on-call")))
    routes = {(change.verb, change.what, change.detail) for change in cluster.changes if change.topic == "routes"}
    assert ("changed", "Hot", "goes to team -> on-call") in routes
    assert {("added", "receiver on-call", ""), ("removed", "receiver team", "")} <= routes
    (cluster,) = compare(side(*routed("team")), side(*routed("team", alert(severity="critical"))))
    assert [change.detail for change in cluster.changes if change.topic == "routes"] == ["goes to team -> nobody"]


def board(*panels: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps({"uid": "u", "title": "Nodes", "panels": list(panels)})
    found = item("ConfigMap", data={"n.json": text})
    found["metadata"]["labels"] = {"grafana_dashboard": "1"}
    return found


def test_panels() -> None:
    cpu, row = {"title": "CPU", "type": "stat", "id": 1}, {"title": "More", "panels": [{"title": "Disk"}]}
    (change,) = dashboard_changes([board(cpu, row)], [board({**cpu, "type": "gauge"}, {"title": "Net"})])
    assert change.detail == "added Net; removed More, Disk; changed CPU"
    (change,) = dashboard_changes([board(cpu)], [board({**cpu, "id": 2, "gridPos": {"x": 1}})])
    assert change.detail == "layout or settings"


def claim(size: str) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}}}]}}
    storage = [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}]
    return item("StatefulSet", spec={"replicas": 3, "template": template, "volumeClaimTemplates": storage})


def test_a_replaced_volume_is_loud_and_refused() -> None:
    (cluster,) = compare(side(claim("5Gi")), side(claim("9Gi")))
    (change,) = [change for change in cluster.changes if change.topic == "objects"]
    assert (change.verb, change.loud, change.gate) == ("replaced", True, LOST_VOLUME)
    assert "volumeClaimTemplates" in change.detail
    assert f"- **dev: {change.what} replaced: {change.detail}**" in markdown([cluster], "main")
    assert refused([cluster], [LOST_VOLUME]) == ["dev: StatefulSet monitoring/a replaced (lost-volume)"]
    assert not refused([cluster], [LOST_ALERT])
    assert not refused([cluster], [])


@pytest.mark.parametrize(
    ("kind", "field", "fixed"),
    [
        ("StatefulSet", "spec.template.spec.containers[a].image", False),
        ("StatefulSet", "spec.replicas", False),
        ("StatefulSet", "spec.serviceName", True),
        ("StatefulSet", "metadata.labels.a", False),
        ("Deployment", "spec.selector.matchLabels.app", True),
        ("Deployment", "spec.selectors", False),
        ("PersistentVolumeClaim", "spec.resources.requests.storage", False),
        ("PersistentVolumeClaim", "spec.storageClassName", True),
        ("ClusterRoleBinding", "roleRef.name", True),
        ("ConfigMap", "data.a", False),
    ],
)
def test_fields_that_nobody_may_change(kind: str, field: str, fixed: bool) -> None:
    assert bool(fixed_fields(kind, [field])) == fixed


def test_secret_values_are_never_shown() -> None:
    before, now = (item("Secret", stringData={"password": value}) for value in ("hunter1", "hunter2"))
    text = markdown(compare(side(before), side(now)), "main")
    assert "stringData.password" in text
    assert "hunter" not in text


def test_fields_are_named_by_what_their_list_items_are_called() -> None:
    one, two = {"name": "a", "x": 1}, {"name": "b", "x": 1}
    assert differing({"l": [one, two]}, {"l": [two, one]}) == {}
    assert differing({"l": [one, two]}, {"l": [one, {**two, "x": 2}]}) == {"l[b].x": (1, 2)}
    assert differing({"l": [alert(), two]}, {"l": [alert(threshold=81), two]}).keys() == {"l[Hot].expr"}
    assert differing({"l": [{**one, "x": 2}, one]}, {"l": [{**one, "x": 3}, one]}) == {"l[0].x": (2, 3)}
    assert differing({"l": []}, {"l": ["a"]}) == {"l": ([], None), "l[0]": (None, "a")}


def test_images_and_requests() -> None:
    def deployment(image: str, memory: str) -> dict[str, Any]:
        container = {"name": "a", "image": image, "resources": {"requests": {"memory": memory}}}
        return item("Deployment", spec={"replicas": 2, "template": {"spec": {"containers": [container]}}})

    before, now = [deployment("reg.io:5000/x/loki:1.0", "1Gi")], [deployment("reg.io:5000/x/loki:1.1", "1536Mi")]
    assert list(image_changes(before, now)) == [Change("images", "changed", "reg.io:5000/x/loki", "1.0 -> 1.1")]
    assert list(request_changes(before, now)) == [Change("requests", "changed", "memory", "2 GiB -> 3 GiB (+1 GiB)")]
    assert not list(object_changes(before, before))


def test_without_the_chart_its_values_are_compared_and_the_summary_says_so() -> None:
    charts = [
        {"version": version, "values": {"retention": days}, "objects": objects}
        for version, days, objects in (("1.0.0", "10d", [item("Service", "only-one-side")]), ("1.1.0", "20d", None))
    ]
    (cluster,) = compare(side(kps=charts[0]), side(kps=charts[1]))
    details = [(change.topic, change.what, change.detail) for change in cluster.changes]
    assert details == [("charts", "kps", "version 1.0.0 -> 1.1.0"), ("charts", "kps: retention", "10d -> 20d")]
    assert "The chart kps is not rendered" in cluster.notes[0]


def test_new_gone_and_broken_clusters() -> None:
    new, gone, broken = compare(
        {"b": {"objects": [rule_file(alert())], "charts": {}}, "c": {"objects": [], "charts": {}}},
        {"a": {"objects": [rule_file(alert())], "charts": {}}, "c": {"error": "cluster.name is missing"}},
    )
    assert new.notes[0].startswith("This cluster is new")
    assert "| added | Hot" not in markdown([new], "main")
    assert "is gone" in gone.notes[0]
    assert refused([gone], [LOST_ALERT]) == ["b: Hot removed (lost-alert)"]
    assert words(broken) == "cannot be rendered"
    assert "cluster.name is missing" in markdown([broken], "main")


def test_clusters_with_the_same_change_share_a_section() -> None:
    change = Change("alerts", "added", "Hot")
    text = markdown([Cluster(f"c{number}", (change,)) for number in range(3)], "main")
    assert text.startswith(MARKER)
    assert "| c0, c1, c2 | alerts: 1 added |" in text
    assert text.count("| added | Hot |") == 1


def test_a_long_list_is_cut() -> None:
    text = markdown([Cluster("dev", tuple(Change("alerts", "added", f"A{n}") for n in range(ROWS + 5)))], "main")
    assert "and 5 more" in text


def test_the_terminal_form(capsys: pytest.CaptureFixture[str]) -> None:
    terminal([Cluster("dev", (Change("alerts", "removed", "Hot", "[gone]", LOST_ALERT, True),)), Cluster("x")], "main")
    output = capsys.readouterr().out
    assert "dev against main: alerts: 1 removed." in output
    assert "x against main: nothing changes." in output
    assert "[gone]" in output
