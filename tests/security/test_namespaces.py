"""What the namespaces ask for, and what their pods are held to: Pod Security, Istio, pruning, priority, quotas."""

from typing import Any

import pytest

from components import pods
from components.pod_admission import limit_ranges, quotas
from settings import SettingsError
from settings.reader import PROJECT, secret_keys
from tests.security.stacks import STACKS, changed, objects, workloads
from tools.manifests import objects_of
from tools.stand_in import STANDS_FOR
from tools.synth import ROOT, stack_config, synthesize

LIMITS = {
    "limits": {
        "main": {
            "quota": {"requests.memory": "64Gi", "pods": 60, "count/jobs.batch": 5},
            "containerDefault": {"cpu": "50m", "memory": "64Mi", "memoryLimit": "256Mi"},
            "containerMax": {"memory": "16Gi"},
        },
        "agents": {"quota": {"pods": 300}},
    }
}


@pytest.mark.parametrize("stack", STACKS)
def test_namespaces_refuse_istio_and_pruning(stack: str) -> None:
    found = [item for item in objects(stack) if item["kind"] == "Namespace"]
    assert len(found) == 2
    for item in found:
        meta = item["metadata"]
        assert meta["labels"]["istio-injection"] == "disabled"
        assert meta["annotations"]["kustomize.toolkit.fluxcd.io/prune"] == "disabled"
        assert meta["annotations"]["argocd.argoproj.io/sync-options"] == "Prune=false"


@pytest.mark.parametrize("stack", STACKS)
def test_no_pod_asks_for_a_sidecar(stack: str) -> None:
    for workload in workloads(stack):
        meta = workload["spec"]["template"]["metadata"]
        assert not [key for key in {**meta.get("labels", {}), **meta.get("annotations", {})} if "istio" in key]


@pytest.mark.parametrize("stack", STACKS)
def test_only_agents_live_in_the_privileged_namespace(stack: str) -> None:
    levels = {
        item["metadata"]["name"]: item["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for item in objects(stack)
        if item["kind"] == "Namespace"
    }
    inside = {
        workload["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
        for workload in workloads(stack)
        if levels[workload["metadata"]["namespace"]] == "privileged"
    }
    assert inside <= {"promtail", "alloy", "prometheus-node-exporter", "dcgm-exporter"}


@pytest.mark.parametrize("stack", STACKS)
def test_priorities_name_a_class_that_is_there(stack: str) -> None:
    made = {item["metadata"]["name"] for item in objects(stack) if item["kind"] == "PriorityClass"}
    assert made == {pods.PRIORITY_CLASS}
    for workload in workloads(stack):
        if STANDS_FOR in workload["metadata"]["labels"]:
            continue
        chosen = workload["spec"]["template"]["spec"]["priorityClassName"]
        agent = workload["kind"] == "DaemonSet"
        assert chosen == (pods.NODE_PRIORITY_CLASS if agent else pods.PRIORITY_CLASS)


def of(sections: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    config = stack_config(ROOT / "Pulumi.prod.yaml")
    config |= {f"{PROJECT}:{key}": value for key, value in sections.items()}
    secrets = dict.fromkeys(secret_keys(changed("prod", sections)), "x")
    found = [objects_of(resource) for resource in synthesize("prod", config, secrets=secrets).resources]
    return [item for item in found if item and item["kind"] == kind]


def test_no_quota_unless_it_is_set() -> None:
    for stack in STACKS:
        assert not [item for item in objects(stack) if item["kind"] in {"ResourceQuota", "LimitRange"}]


def test_quotas_and_limit_ranges_are_those_of_the_stack_file() -> None:
    found = {item["metadata"]["namespace"]: item["spec"]["hard"] for item in of({"security": LIMITS}, "ResourceQuota")}
    assert found == {
        "monitoring": {"requests.memory": "64Gi", "pods": "60", "count/jobs.batch": "5"},
        "monitoring-agents": {"pods": "300"},
    }
    [limit_range] = of({"security": LIMITS}, "LimitRange")
    assert limit_range["spec"]["limits"] == [
        {
            "type": "Container",
            "defaultRequest": {"cpu": "50m", "memory": "64Mi"},
            "default": {"memory": "256Mi"},
            "max": {"memory": "16Gi"},
        }
    ]


def test_gke_admits_the_agents_by_a_quota_of_their_class() -> None:
    gke = changed("prod", {"cluster": {"name": "g", "distribution": "gke"}})
    [quota] = quotas(gke)
    assert quota["namespace"] == "monitoring-agents"
    assert quota["spec"]["scopeSelector"]["matchExpressions"][0]["values"] == [pods.NODE_PRIORITY_CLASS]
    assert limit_ranges(gke) == []


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"quota": {"memroy": "1Gi"}}, "memroy"),
        ({"quota": {"pods": "1Gi"}}, "quota pods is 1Gi, which is no whole number"),
        (
            {
                "containerDefault": {"cpu": "1", "memory": "1Gi", "memoryLimit": "2Gi"},
                "containerMax": {"memory": "1Gi"},
            },
            "containerDefault limits 2Gi of memory is above containerMax 1Gi",
        ),
    ],
)
def test_what_the_api_server_would_refuse_is_a_clear_error(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        changed("prod", {"security": {"limits": {"main": limits}}})
