"""How the dashboard of workloads tells the pods of a workload by their names, and the workload by its pods' owner."""

import re

import pytest

from tests.dashboards.model import dashboards

[BOARD] = [dashboard for dashboard in dashboards() if dashboard.uid == "workloads"]
END = BOARD.variables["end"]["query"]


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("web-7d9c5b6f4d-x2x9k", "web"),  # Deployment
        ("web-0", "web"),  # StatefulSet
        ("web-x2x9k", "web"),  # DaemonSet, Job
        ("web-29384756-x2x9k", "web"),  # CronJob
        ("web", "web"),  # a pod of its own
        ("web-api-7d9c5b6f4d-x2x9k", "web-api"),
        ("web-db-0", "web-db"),
        ("webshop-0", "webshop"),
        ("prometheus-k8s-0", "prometheus-k8s"),
    ],
)
def test_a_pod_belongs_to_one_workload(pod: str, workload: str) -> None:
    """Prometheus' expressions match from the first to the last letter."""
    known = ("web", "web-api", "web-db", "webshop", "prometheus", "prometheus-k8s")
    assert [name for name in known if re.fullmatch(f"({name}){END}", pod)] == [workload]


def test_all_workloads_take_every_pod() -> None:
    everything = BOARD.variables["workload"]["allValue"]
    assert re.fullmatch(f"({everything}){END}", "kube-apiserver-node-1.example.com")


@pytest.mark.parametrize(
    ("owner", "workload"),
    [
        ("web-7d9c5b6f4d", "web"),
        ("web-api-6d5f7c9b8d", "web-api"),
        ("backup-29384756", "backup"),
        ("database", "database"),
    ],
)
def test_the_owner_of_a_pod_names_its_workload(owner: str, workload: str) -> None:
    """A ReplicaSet and a CronJob's Job carry the workload's name and an end; Grafana takes the first group."""
    match = re.search(BOARD.variables["workload"]["regex"].strip("/"), owner)
    assert match
    assert match[1] == workload
