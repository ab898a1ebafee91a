"""The deployed stack: pods, targets, rules, a line in Loki, messages at their receivers, and pods that are killed."""

import json
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

from tests.cluster.traces import wait_for
from tools import readiness
from tools.access import Access
from tools.cluster import node
from tools.console import UserError
from tools.fire import __main__ as fire
from tools.fire.cause import SLEEPS, controller, pod, pod_spec, shell
from tools.rules import stack_settings

MINUTES = 60
FAST = "30s"


def get(stack: Access, *arguments: str) -> Any:
    return json.loads(stack.running.kubectl("get", *arguments, "--output=json"))["items"]


def apply(stack: Access, namespace: str, *objects: dict[str, Any]) -> None:
    items: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}]
    items += [{**item, "metadata": {**item["metadata"], "namespace": namespace}} for item in objects]
    for item in items:
        stack.running.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(item))


def lines(stack: Access, namespace: str, began: float | None = None) -> list[tuple[dict[str, str], str]]:
    """Labels and text of each line since `began` (seconds since the epoch), or of the last half hour."""
    query = quote(f'{{namespace="{namespace}"}}')
    since = "since=30m" if began is None else f"start={int(began * 10**9)}"
    found = stack.read("loki", f"/loki/api/v1/query_range?query={query}&limit=5000&{since}")["data"]["result"]
    return [(stream["stream"], text) for stream in found for _, text, *_ in stream["values"]]


def ready(item: dict[str, Any]) -> bool:
    conditions = item["status"].get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def unready(stack: Access) -> list[str]:
    """Pods that are not Ready; that of a Job which is done never is."""
    pods = get(stack, "pods", "--all-namespaces", "--field-selector=status.phase!=Succeeded")
    return [item["metadata"]["name"] for item in pods if not ready(item)]


def test_every_pod_is_ready(stack: Access) -> None:
    wait_for("minute with every pod Ready", partial(unready, stack), [].__eq__, 2 * MINUTES)
    names = " ".join(item["metadata"]["name"] for item in get(stack, "pods", "--all-namespaces"))
    for part in ("loki-0", "loki-gateway-", "promtail-", "alertmanager-alertmanager-0", "-operator-", "blackbox-"):
        assert part in names
    for part in ("prometheus-kube-prometheus-stack-prometheus-0", "kube-state-metrics-", "node-exporter-", "coredns-"):
        assert part in names


def test_promtail_is_on_every_real_node_and_on_no_other(stack: Access) -> None:
    agents = get(stack, "pods", "--all-namespaces", "--selector=app.kubernetes.io/name=promtail")
    assert [item["spec"]["nodeName"] for item in agents] == [node.NAME]


def test_every_target_is_up(stack: Access) -> None:
    kinds = {"ServiceMonitor": "serviceMonitor", "PodMonitor": "podMonitor", "Probe": "probe"}
    monitors = {
        f"{kinds[item['kind']]}/{item['metadata']['namespace']}/{item['metadata']['name']}"
        for item in get(stack, "servicemonitors,podmonitors,probes", "--all-namespaces")
    }
    jobs = {"kube-state-metrics", "node-exporter", "kubelet", "apiserver", "coredns", "loki", "promtail"}

    def wrong() -> list[str]:
        """What is down or missing: Prometheus hears of a monitor, and scrapes its targets, a while after the object."""
        targets = stack.read("prometheus", "/api/v1/targets?state=active")["data"]["activeTargets"]
        pools = {target["scrapePool"] for target in targets} | {t["scrapePool"].rsplit("/", 1)[0] for t in targets}
        down = [f"{target['scrapePool']}: {target['lastError']}" for target in targets if target["health"] != "up"]
        return [*down, *(monitors - pools), *(jobs - {target["labels"]["job"] for target in targets})]

    wait_for("time with all targets up", wrong, [].__eq__, 3 * MINUTES)


def test_all_rules_are_loaded_and_none_fails(stack: Access) -> None:
    shipped = fire.rules(stack_settings("dev"))

    def loaded(evaluator: str, path: str) -> dict[str, str]:
        groups = stack.read(evaluator, path)["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    for evaluator, path in (("prometheus", "/api/v1/rules"), ("loki", "/prometheus/api/v1/rules")):
        wanted = {name for name, (where, rule) in shipped.items() if where == evaluator}
        # Grafana is left out where the chart cannot be reached, and its rules with it.
        wanted -= {name for name, (_, rule) in shipped.items() if rule["labels"]["component"] == "grafana"}

        def wrong(evaluator: str, path: str, wanted: set[str]) -> list[str]:
            health = loaded(evaluator, path)
            return [*(wanted - set(health)), *(f"{name}: {state}" for name, state in health.items() if state != "ok")]

        # The slowest group is evaluated every five minutes; the first look of a rule may be too early and fail.
        wait_for(
            f"good evaluation of every rule by {evaluator}", partial(wrong, evaluator, path, wanted), [].__eq__, 660
        )


def test_a_line_arrives_under_exactly_its_labels(stack: Access) -> None:
    apply(stack, "lines", pod(shell("sleep 3; echo a line of its own; sleep infinity"), "writer"))
    [(labels, text)] = wait_for("line in Loki", partial(lines, stack, "lines"), bool, MINUTES)
    assert text == "a line of its own"
    structured = {"detected_level"}
    assert {key: value for key, value in labels.items() if key not in structured} == {
        "cluster": "dev",
        "namespace": "lines",
        "pod": "writer",
        "container": "fault",
        "app": "writer",
        "job": "lines/writer",
        "node": node.NAME,
    }


def shorten(stack: Access, alert: str) -> None:
    """Give an alert of Prometheus a short `for` on this cluster, so that the test does not wait ten minutes."""
    for item in get(stack, "prometheusrules", "--namespace=monitoring"):
        rules = [rule for group in item["spec"]["groups"] for rule in group["rules"] if rule.get("alert") == alert]
        for rule in rules:
            rule["for"] = FAST
        if rules:
            patch = json.dumps({"spec": item["spec"]})
            name = item["metadata"]["name"]
            stack.running.kubectl(
                "patch", "prometheusrule", name, "--namespace=monitoring", "--type=merge", f"--patch={patch}"
            )


@pytest.mark.parametrize("alert", ["PodCrashLooping", "ImagePullAuthFailure", "ExporterDown"])
def test_an_alert_is_delivered(stack: Access, alert: str) -> None:
    """A crash, a line that LogQL finds, and a dead target: from the cause to the receiver of its severity."""
    shipped = fire.rules(stack_settings("dev"))
    evaluator, rule = shipped[alert]
    if evaluator == "prometheus":
        shorten(stack, alert)
        rule["for"] = FAST
    [trail] = fire.fire([alert], stack, shipped)
    assert trail.done, trail.seen
    receiver = {"critical": "on-call", "warning": "team"}[rule["labels"]["severity"]]
    assert trail.seen["routed"][1] == f"to {receiver}"
    assert trail.seen["delivered"][1].startswith("webhook to")
    other = {"on-call": "telegram", "team": "email"}[receiver]

    def told() -> bool:
        messages = stack.read("inbox", "/messages")["messages"]
        summary = rule["annotations"]["summary"].split("{{")[0].strip()
        return any(m["channel"] == other and summary.split(" ")[0] in m["title"] + m["text"] for m in messages)

    wait_for(f"message by {other}", told, bool, MINUTES)


def test_both_watchdogs_arrive(stack: Access) -> None:
    def beats() -> bool:
        return {"heartbeat", "logsHeartbeat"} <= set(stack.read("inbox", "/messages")["heartbeats"])

    wait_for("heartbeat of Prometheus and of Loki's ruler", beats, bool, 3 * MINUTES)


def test_killed_pods_come_back_and_no_line_is_lost(stack: Access) -> None:
    count = 120
    script = f"sleep 5; for i in $(seq {count}); do echo number $i; sleep 0.5; done; sleep infinity"
    apply(stack, "counting", pod(shell(script), "counter"))
    wait_for("first line", partial(lines, stack, "counting"), bool, MINUTES)
    before = {item["metadata"]["uid"] for item in get(stack, "pods", "--all-namespaces")}
    for namespace, name in (
        ("monitoring", "loki"),
        ("monitoring", "alertmanager"),
        ("monitoring", "prometheus"),
        ("monitoring-agents", "promtail"),
    ):
        selected = f"--selector=app.kubernetes.io/name={name}"
        stack.running.kubectl("delete", "pods", f"--namespace={namespace}", selected, "--grace-period=0", "--force")

    wanted = {f"number {number}" for number in range(1, count + 1)}

    def missing() -> set[str]:
        return wanted - {text for _, text in lines(stack, "counting")}

    wait_for("time with every numbered line in Loki", missing, set().__eq__, 5 * MINUTES)
    wait_for("time with every pod Ready again", partial(unready, stack), [].__eq__, 5 * MINUTES)
    after = {item["metadata"]["uid"] for item in get(stack, "pods", "--all-namespaces")}
    assert len(before - after) >= 4


MOUNT = {"name": "missing", "mountPath": "/missing"}
BROKEN = {
    "a missing ConfigMap": (
        pod_spec(*SLEEPS, envFrom=[{"configMapRef": {"name": "not-there"}}]),
        'CreateContainerConfigError: configmap "not-there" not found',
    ),
    "a broken mount": (
        {**pod_spec(*SLEEPS, volumeMounts=[MOUNT]), "volumes": [{"name": "missing", "secret": {"secretName": "gone"}}]},
        'FailedMount: MountVolume.SetUp failed for volume "missing" : secret "gone" not found',
    ),
    "a wrong argument": (shell("echo no such option: --what; exit 2"), "no such option: --what"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_broken_is_named_within_a_minute(stack: Access, fault: str) -> None:
    spec, words = BROKEN[fault]
    namespace = "broken-" + fault.rsplit(maxsplit=1)[-1].lower()
    item = controller("Deployment", spec)
    item["metadata"]["namespace"] = namespace
    apply(stack, namespace, item)
    try:
        with pytest.raises(UserError) as said:
            readiness.wait(stack.running.kubeconfig, [item], seconds=MINUTES - 5)
        assert f"Deployment/{namespace}/fault" in str(said.value)
        assert words in str(said.value)
    finally:
        stack.running.kubectl("delete", "namespace", namespace, "--wait=false")
