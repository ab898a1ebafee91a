"""Every pod of every stack meets the Pod Security level `restricted`, but for the three agents that need the host.

The API server's own admission judges: each pod is sent as a dry run into a namespace that enforces the level.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.namespaces import namespace_labels
from settings import Settings, parse
from settings.reader import PROJECT
from tests.cluster.operated import OPERATOR_SECONDS, operator, wait_for
from tools import cluster, stand_in
from tools.apply import LocalSecrets, apply
from tools.backup import claims
from tools.backup.parts import parts
from tools.binaries import find
from tools.cluster import Cluster
from tools.manifests import Manifests, manifests
from tools.synth import ROOT, stack_config

EXEMPT = {"promtail", "prometheus-node-exporter", "dcgm-exporter"}
"""Names (label app.kubernetes.io/name) of the pods that read the host. All live in the namespace of the agents."""
NAMESPACE = "restricted"
WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job"}
OPERATED = {"Prometheus", "Alertmanager"}
REFUSED = "violates PodSecurity"
Object = dict[str, Any]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster.fake(tmp_path_factory.mktemp("pod-security")) as running:
        labels = namespace_labels("restricted")
        create(running, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}])
        account = partial(running.kubectl, "get", "serviceaccount", "-n", NAMESPACE, "--ignore-not-found", "default")
        wait_for("default account", account, 180)
        yield running


def create(local: Cluster, objects: list[Object], *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(find("kubectl")), f"--kubeconfig={local.kubeconfig}", "create", "--filename=-", *options]
    content = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    return subprocess.run(command, input=content, capture_output=True, text=True, check=False)


def operated(local: Cluster, rendered: Manifests, log: Path) -> list[Object]:
    """StatefulSets that the real operator makes of the objects of its kinds, at their present generation."""
    apply(local.kubeconfig, rendered)
    # Those of an earlier stack must not be taken for this one's.
    local.kubectl("delete", "statefulset", "--all-namespaces", "--selector=managed-by=prometheus-operator")
    wanted = [item for item in rendered.objects if item["kind"] in OPERATED]
    names = [f"{item['kind'].lower()}-{item['metadata']['name']}" for item in wanted]

    def made() -> list[Object] | None:
        found = json.loads(local.kubectl("get", "statefulsets", "--all-namespaces", "--output=json"))["items"]
        chosen = [item for item in found if item["metadata"]["name"] in names]
        return chosen if len(chosen) == len(names) else None

    with operator(local, log):
        result: list[Object] = wait_for(f"StatefulSets {names}", made, OPERATOR_SECONDS)
    return result


def pod(workload: Mapping[str, Any]) -> Object:
    """A pod as the workload's controller would make it, in the namespace of the test."""
    template = workload["spec"]["template"]
    # Account and priority class are not part of the level, and would have to exist.
    others = ("serviceAccount", "priorityClass")
    spec = {key: value for key, value in template["spec"].items() if not key.startswith(others)}
    if workload["kind"] != "Job":
        spec["restartPolicy"] = "Always"
    claims = [claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])]
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
    spec["volumes"] = [*(spec.get("volumes") or []), *volumes]
    name = workload["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": template["metadata"].get("labels", {})},
        "spec": spec,
    }


def app(workload: Mapping[str, Any]) -> str:
    name: str = workload["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
    return name


def refused(local: Cluster, workloads: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What the admission says, for each app whose pod it refuses. Any other error fails the test."""
    found = {}
    for workload in workloads:
        result = create(local, [pod(workload)], "--dry-run=server")
        if result.returncode:
            assert REFUSED in result.stderr, f"{workload['metadata']['name']}: {result.stderr}"
            found[app(workload)] = result.stderr
    return found


def settings_of(stack: str) -> Settings:
    config = stack_config(ROOT / f"Pulumi.{stack}.yaml")
    sections = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}
    return parse(sections, f"Pulumi.{stack}.yaml", check_secrets=False)


@pytest.mark.parametrize(("stack", "expected"), [("dev", EXEMPT), ("prod", EXEMPT - {"dcgm-exporter"})])
def test_pods_are_restricted(local: Cluster, tmp_path: Path, stack: str, expected: set[str]) -> None:
    file, secrets = ROOT / f"Pulumi.{stack}.yaml", LocalSecrets(tmp_path / "secrets.json")
    applied = manifests(stack, file, secrets=secrets.value, password=secrets.password, local=True)
    shipped = manifests(stack, file)
    if shipped.missing_charts:
        print(f"NOT PROVEN HERE: pods of {', '.join(shipped.missing_charts)}; its stand-in is judged instead")
    settings = settings_of(stack)
    everything = [*applied.objects, *shipped.objects, *stand_in.chart_objects(settings)]
    workloads = [item for item in everything if item["kind"] in WORKLOADS]
    workloads += operated(local, applied, tmp_path / "operator.log")

    assert {app(item) for item in workloads} >= {"prometheus", "alertmanager", "loki", "loki-gateway", "promtail"}
    found = refused(local, workloads)
    print(f"{stack}: {len(workloads)} workloads judged, refused: {', '.join(sorted(found)) or 'none'}")
    assert set(found) == expected, "\n".join(found.values())
    in_agents = {app(item) for item in workloads if item["metadata"]["namespace"] == settings.namespaces.agents}
    assert in_agents == expected


VARIANTS: dict[str, dict[str, Any]] = {
    "alloy": {
        "logAgent": {"program": "alloy"},
        "centralLogs": {"url": "https://logs.example.com", "passwordSecret": "hubLogs"},
        "dcgm": {"mode": "deploy"},
        "events": {"mode": "deploy"},
        "alertmanager": {"heartbeat": "none", "silences": []},
        "loki": {"storage": {"type": "minio"}},
    },
}
"""Stack prod with what no tracked stack chooses."""


@pytest.mark.parametrize(("name", "expected"), [("alloy", {"alloy", "central-logs", "dcgm-exporter"})])
def test_optional_pods_are_restricted(local: Cluster, tmp_path: Path, name: str, expected: set[str]) -> None:
    config = stack_config(ROOT / "Pulumi.prod.yaml")
    config |= {f"{PROJECT}:{key}": value for key, value in VARIANTS[name].items()}
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    workloads = [item for item in manifests("prod", file).objects if item["kind"] in WORKLOADS]
    found = refused(local, workloads)
    judged = sorted(app(item) for item in workloads)
    print(f"{name}: {', '.join(judged)} judged, refused: {', '.join(sorted(found)) or 'none'}")
    assert {"event-exporter", "central-events", "alertmanager-silences", "alloy", "minio"} <= set(judged)
    # Where the chart can be had, its node-exporter is judged too.
    assert set(found) - (EXEMPT - {"promtail", "dcgm-exporter"}) == expected, "\n".join(found.values())


def test_the_pods_of_a_backup_are_restricted(local: Cluster) -> None:
    settings = settings_of("prod")
    for part in parts(settings):
        item = claims.pod(settings, part.pods()[0][1], part.user, None)
        meta, spec = {**item["metadata"], "namespace": NAMESPACE}, {**item["spec"]}
        # Its class is the stack's, which this cluster need not have.
        del spec["priorityClassName"]
        result = create(local, [{**item, "metadata": meta, "spec": spec}], "--dry-run=server")
        assert result.returncode == 0, result.stderr


def test_a_violation_is_refused(local: Cluster) -> None:
    """The gate bites: one field less than the level asks for, and the pod is refused."""
    items = manifests("dev", ROOT / "Pulumi.dev.yaml").objects
    gateway = next(item for item in items if item["kind"] == "Deployment" and app(item) == "loki-gateway")
    assert refused(local, [gateway]) == {}
    broken = json.loads(json.dumps(gateway))
    del broken["spec"]["template"]["spec"]["securityContext"]["seccompProfile"]
    assert "seccompProfile" in refused(local, [broken])["loki-gateway"]
