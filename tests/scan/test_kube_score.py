"""What kube-score calls critical is none, but for what is accepted here with its reason."""

import copy
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.security.stacks import STACKS, objects
from tools.binaries import find

CRITICAL, ALMOST_OK = 1, 7
ACCEPTED: dict[str, str] = {
    "container-ephemeral-storage-request-and-limit": "roots are read-only and every emptyDir has a size limit; a node "
    "that does not count ephemeral storage would run no pod that requests some",
    "container-image-pull-policy": "tags are versions and a stack may require digests: pulling anew brings nothing",
    "pod-probes-identical": "readiness and liveness differ in their periods and failures, not in their address",
}
"""Checks that do not fit, and why."""
WITHOUT: dict[str, tuple[set[str], str]] = {
    "container-resources": (set(), "a limit of processor time throttles where a request would do"),
    "container-security-context-user-group-id": (
        {"promtail", "alloy", "dcgm-exporter", "event-exporter", "loki-gateway", "grafana"},
        "agents read the host as root; the others run as the user of their image, which is below 10000",
    ),
    "container-security-context-readonlyrootfilesystem": (
        {"grafana"},
        "two sidecars of the chart, whose image is not known to run so; policies/pod_rules.py holds all others to it",
    ),
    "service-targets-pod": (
        {"prometheus", "alertmanager", "coredns"},
        "the operator makes the pods of the first two, the cluster those of the third",
    ),
    "networkpolicy-targets-pod": (
        {"prometheus", "alertmanager", "grafana"},
        "the operator or the chart makes the pods",
    ),
    "pod-networkpolicy": (set(), "the distribution `local` has no policies: its network plugin enforces none"),
}
"""Checks that do not fit some objects, by what their name contains (empty: as the function below says), and why."""


def score(file: Path) -> list[dict[str, Any]]:
    """Every check of every object that was not skipped."""
    command = [str(find("kube-score")), "score", "--output-format=json", "--kubernetes-version=v1.36", str(file)]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return [
        {"object": item["object_name"], "id": check["check"]["id"], "grade": check["grade"], "why": comments(check)}
        for item in answer
        for check in item["checks"]
        if not check["skipped"]
    ]


def comments(check: dict[str, Any]) -> str:
    return "; ".join(f"{comment['path']}: {comment['summary']}" for comment in check["comments"] or [])


def accepted(found: dict[str, Any], stack: str) -> bool:
    if found["id"] in ACCEPTED:
        return True
    if found["id"] == "container-resources":
        return all("CPU limit is not set" in part for part in found["why"].split("; "))
    if found["id"] == "pod-networkpolicy":
        return stack == "dev"
    return any(name in found["object"] for name in WITHOUT.get(found["id"], (set(), ""))[0])


def critical(file: Path, stack: str) -> list[str]:
    return [
        f"{found['object']}: {found['id']}: {found['why']}"
        for found in score(file)
        if found["grade"] == CRITICAL and not accepted(found, stack)
    ]


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_is_critical_that_is_not_accepted(files: dict[str, Path], stack: str) -> None:
    found = score(files[stack])
    grades = Counter("ok" if item["grade"] > ALMOST_OK else item["grade"] for item in found)
    print(
        f"{stack}: {len(found)} checks, {grades['ok']} ok, {grades[CRITICAL]} critical of which "
        f"{sum(item['grade'] == CRITICAL and accepted(item, stack) for item in found)} are accepted"
    )
    assert critical(files[stack], stack) == []


def container(item: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = item["spec"]["template"]["spec"]["containers"][0]
    return first


PLANTED: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("container-image-tag", lambda item: container(item).update(image="registry.example.com/app:latest")),
    ("container-resources", lambda item: container(item)["resources"].pop("limits")),
    ("container-security-context-readonlyrootfilesystem", lambda item: container(item).pop("securityContext")),
    ("container-security-context-privileged", lambda item: container(item)["securityContext"].update(privileged=True)),
    ("pod-probes", lambda item: container(item).pop("readinessProbe")),
]


@pytest.mark.parametrize(("check", "spoil"), PLANTED, ids=[check for check, _ in PLANTED])
def test_a_planted_violation_trips_it(tmp_path: Path, check: str, spoil: Callable[[dict[str, Any]], Any]) -> None:
    everything = copy.deepcopy(objects("prod"))
    gateway = next(
        item for item in everything if (item["kind"], item["metadata"]["name"]) == ("Deployment", "loki-gateway")
    )
    spoil(gateway)
    file = tmp_path / "planted.yaml"
    file.write_text(yaml.safe_dump_all(everything))
    found = critical(file, "prod")
    assert found
    assert check in {item.split(": ")[1] for item in found}
