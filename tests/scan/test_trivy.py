"""Trivy's checks of Kubernetes objects fail nowhere from MEDIUM upwards, but for what is accepted with its reason."""

import copy
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scan.conftest import without_nulls
from tests.security.stacks import STACKS, objects
from tools import charts, stand_in
from tools.binaries import find

CRD = "CustomResourceDefinition"
GATED = ("CRITICAL", "HIGH", "MEDIUM")
"""Those of severity LOW ask for limits of processor time, high user ids and more of what kube-score says as well."""
OPERATOR = "ClusterRole/kube-prometheus-stack-operator"
NODE_EXPORTER = "DaemonSet/kube-prometheus-stack-prometheus-node-exporter"
PROMETHEUS = "Prometheus/kube-prometheus-stack-prometheus"
OPERATED = (
    "a part of a container, to which the operator adds the rest; tests/cluster/test_pod_security.py has the whole"
)
MAKES = "the operator makes Secrets, ConfigMaps, Services and StatefulSets in every namespace"
READS_HOST = "it reads the host, in the namespace that is privileged for that"
ACCEPTED: dict[str, dict[str, str]] = {
    "KSV-0001": {PROMETHEUS: OPERATED},
    "KSV-0005": {"DaemonSet/dcgm-exporter": "profiling metrics of a GPU need the capability"},
    "KSV-0009": {NODE_EXPORTER: "it counts the node's network interfaces"},
    "KSV-0010": {NODE_EXPORTER: "it counts the node's processes"},
    "KSV-0012": {
        "DaemonSet/dcgm-exporter": "the devices of the GPU belong to root",
        "DaemonSet/promtail": "files of containers belong to root",
    },
    "KSV-0013": {PROMETHEUS: OPERATED},
    "KSV-0014": {
        PROMETHEUS: OPERATED,
        "Deployment/kube-prometheus-stack-grafana": "two sidecars of the chart, whose image is not known to run so",
    },
    "KSV-0022": {"DaemonSet/dcgm-exporter": "profiling metrics of a GPU need the capability"},
    "KSV-0023": {"DaemonSet/dcgm-exporter": READS_HOST, "DaemonSet/promtail": READS_HOST, NODE_EXPORTER: READS_HOST},
    "KSV-0036": {PROMETHEUS: "it asks the API server for its targets"},
    "KSV-0037": {
        "Service/kube-prometheus-stack-coredns": "the chart's, without pods of its own: it selects those of DNS"
    },
    "KSV-0041": {OPERATOR: MAKES},
    "KSV-0045": {OPERATOR: MAKES},
    "KSV-0048": {OPERATOR: MAKES},
    "KSV-0049": {OPERATOR: MAKES},
    "KSV-0056": {OPERATOR: MAKES},
    "KSV-0109": {"ConfigMap/kube-prometheus-stack-grafana-datasource": "the name of a variable of the environment"},
    "KSV-01010": {
        "ConfigMap/promtail-config": "expressions that mask secrets name them",
        "ConfigMap/event-exporter-config": "the path of the file that holds the password",
        "ConfigMap/alertmanager-templates": "messages say what to do about secrets",
    },
    "KSV-0121": {NODE_EXPORTER: READS_HOST},
    "KSV-0125": {
        "": "a list of three clouds' registries; ours are those of the projects, and by digest if a stack asks"
    },
}
"""Failed checks by their number and object, and why. An empty name: every object."""


def scan(items: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """What each check says of each object, which it names as kind and name."""
    names = {}
    for number, item in enumerate(without_nulls(items)):
        file = f"{number:03}.yaml"
        names[file] = f"{item['kind']}/{item['metadata']['name']}"
        (folder / file).write_text(yaml.safe_dump(item), encoding="utf-8")
    command = [str(find("trivy-kubernetes")), str(folder)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [json.loads(line) for line in output.splitlines()]
    return [{**item, "object": names[item["file"]], "check": item["check"].removeprefix("AVD-")} for item in found]


def accepted(item: dict[str, Any]) -> bool:
    known = ACCEPTED.get(item["check"], {})
    return item["object"] in known or "" in known


def refused(found: list[dict[str, Any]]) -> list[str]:
    return [
        f"{item['object']}: {item['check']} ({item['severity']}): {item['message']}"
        for item in found
        if not item["passed"] and item["severity"] in GATED and not accepted(item)
    ]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What Trivy says of each tracked stack."""
    return {
        stack: scan([item for item in objects(stack) if item["kind"] != CRD], tmp_path_factory.mktemp(stack))
        for stack in STACKS
    }


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_fails_that_is_not_accepted(results: dict[str, list[dict[str, Any]]], stack: str) -> None:
    found = results[stack]
    failed = Counter(item["severity"] for item in found if not item["passed"])
    checks = {item["check"] for item in found}
    print(f"{stack}: {len(found)} results of {len(checks)} checks; failed: {dict(sorted(failed.items()))}")
    assert len(checks) > 100
    assert refused(found) == []


def test_what_is_accepted_is_still_needed(results: dict[str, list[dict[str, Any]]]) -> None:
    """An acceptance that no object needs would hide the next mistake."""
    if charts.chart(stand_in.CHART) is None:
        pytest.skip("THE LIST OF ACCEPTED RESULTS IS NOT COMPARED HERE: the chart's objects cannot be had")
    failed = {
        (item["check"], name)
        for found in results.values()
        for item in found
        if not item["passed"]
        for name in (item["object"], "")
    }
    assert {(check, name) for check, names in ACCEPTED.items() for name in names} - failed == set()


def container(item: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = item["spec"]["template"]["spec"]["containers"][0]
    return first


def pod(item: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = item["spec"]["template"]["spec"]
    return spec


PLANTED: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("KSV-0001", lambda item: container(item)["securityContext"].update(allowPrivilegeEscalation=True)),
    ("KSV-0009", lambda item: pod(item).update(hostNetwork=True)),
    ("KSV-0013", lambda item: container(item).update(image="registry.example.com/app:latest")),
    ("KSV-0014", lambda item: container(item)["securityContext"].pop("readOnlyRootFilesystem")),
    ("KSV-0017", lambda item: container(item)["securityContext"].update(privileged=True)),
    ("KSV-0023", lambda item: pod(item)["volumes"].append({"name": "host", "hostPath": {"path": "/etc"}})),
    ("KSV-0104", lambda item: pod(item)["securityContext"].update(seccompProfile={"type": "Unconfined"})),
]


@pytest.mark.parametrize(("check", "spoil"), PLANTED, ids=[check for check, _ in PLANTED])
def test_a_planted_violation_trips_it(tmp_path: Path, check: str, spoil: Callable[[dict[str, Any]], Any]) -> None:
    gateway = copy.deepcopy(
        next(
            item
            for item in objects("prod")
            if (item["kind"], item["metadata"]["name"]) == ("Deployment", "loki-gateway")
        )
    )
    spoil(gateway)
    found = refused(scan([gateway], tmp_path))
    assert found
    assert check in {item.split(": ")[1].partition(" ")[0] for item in found}
