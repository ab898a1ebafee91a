"""The whole life of stack dev under the real Pulumi engine, on a real API server."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings.reader import PROJECT
from tools import engine
from tools.cluster import Cluster
from tools.engine import LocalStack
from tools.synth import ROOT, stack_config

CANARY = "http://127.0.0.1:9/canary-of-{}"
"""Value of each secret of the stack file: easily found where it must not be."""
TUNED = {"CoreDNSErrorsHigh": {"threshold": "5%"}}
"""An alert whose limit no dashboard draws; a drawn limit moves in its dashboard as well."""


@pytest.fixture(scope="module")
def stack(local: Cluster, tmp_path_factory: pytest.TempPathFactory) -> LocalStack:
    found = engine.find()
    assert isinstance(found, engine.Engine)
    made = LocalStack(found, "dev", tmp_path_factory.mktemp("stack"))
    made.prepare(local.kubeconfig, CANARY.format)
    return made


def steps(output: str) -> dict[str, str]:
    """Operation of each resource that a preview changes, by name."""
    text = output[output.index("{") :]
    found: list[dict[str, Any]] = json.loads(text)["steps"]
    return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in found if step["op"] != "same"}


def names(local: Cluster, kind: str) -> set[str]:
    return set(local.kubectl("get", kind, "--all-namespaces", "--output=name").split())


def test_1_up(stack: LocalStack, local: Cluster) -> None:
    stack.run("preview", quiet=True)
    stack.run("up", "--yes", "--skip-preview", quiet=True)
    exported = json.loads(stack.run("stack", "output", "--json", quiet=True))
    assert exported["namespaces"] == {"main": "monitoring", "agents": "monitoring-agents"}
    assert exported["alerts"]["prometheus"] > 80
    assert "prometheus.monitoring.coreos.com/kube-prometheus-stack-prometheus" in names(local, "prometheuses")
    resources = json.loads(stack.run("stack", "export", quiet=True))["deployment"]["resources"]
    # In the state's order, which is that of their making.
    made = [f"{one['type']} {one['urn'].rpartition('::')[2]}" for one in resources]
    release = next(index for index, name in enumerate(made) if "helm.sh/v3:Release" in name)
    needing = [index for index, name in enumerate(made) if ":monitoring.coreos.com/" in name]
    assert len(needing) > 40
    assert min(needing) > release
    chart = "kube-prometheus-stack-chart:monitoring/kube-prometheus-stack"
    prometheus = made.index(f"kubernetes:monitoring.coreos.com/v1:Prometheus {chart}-prometheus")
    operator = made.index(f"kubernetes:apps/v1:Deployment {chart}-operator")
    assert resources[prometheus]["urn"] in resources[operator].get("dependencies", ())
    ours = [one for one in resources if ":ObservabilityStack" in one["urn"] and "helm.sh/v4:Chart" not in one["urn"]]
    assert len(ours) > 80
    assert max(len(one["stackTrace"]) for one in ours) <= 5, "calls below the program's own are in the state"


def test_2_nothing_to_do(stack: LocalStack) -> None:
    stack.run("preview", "--expect-no-changes", quiet=True)
    stack.run("preview", "--refresh", "--expect-no-changes", quiet=True)


def test_3_a_threshold_changes_its_rule_only(stack: LocalStack, local: Cluster, tmp_path: Path) -> None:
    config = stack_config(ROOT / "Pulumi.dev.yaml")
    tuned = tmp_path / "Pulumi.dev.yaml"
    tuned.write_text(yaml.safe_dump({"config": {**config, f"{PROJECT}:alerts": {"tune": TUNED}}}))
    stack.prepare(local.kubeconfig, CANARY.format, tuned)
    expected = {"alert-rules-prometheus-network": "update", "alert-rules-rule-network": "update"}
    assert steps(stack.run("preview", "--json", quiet=True)) == expected
    pods = names(local, "pods")
    stack.run("up", "--yes", "--skip-preview", quiet=True)
    assert names(local, "pods") == pods
    stack.prepare(local.kubeconfig, CANARY.format)


def test_4_secrets_are_not_plain(stack: LocalStack) -> None:
    state = stack.run("stack", "export", quiet=True)
    password = json.loads(stack.run("stack", "export", "--show-secrets", quiet=True))
    results = [
        r["outputs"]["result"]
        for r in password["deployment"]["resources"]
        if r["type"].endswith("RandomPassword") and "salt" not in r["urn"]
    ]
    assert len(results) == 2
    assert "canary-of-" not in state
    assert "canary-of-" not in stack.config_file.read_text()
    for result in results:
        plaintext = json.loads(result["plaintext"])
        assert plaintext not in state


def test_5_destroy_keeps_data_and_up_adopts_it(stack: LocalStack, local: Cluster) -> None:
    claims = names(local, "persistentvolumeclaims")
    stack.run("destroy", "--yes", "--skip-preview", quiet=True)
    assert {"namespace/monitoring", "namespace/monitoring-agents"} <= names(local, "namespaces")
    assert names(local, "persistentvolumeclaims") == claims
    assert "customresourcedefinition.apiextensions.k8s.io/prometheuses.monitoring.coreos.com" in names(local, "crds")
    for kind in ("deployments", "statefulsets", "daemonsets"):
        assert not [name for name in names(local, kind) if "coredns" not in name and "local-path" not in name], kind
    stack.run("up", "--yes", "--skip-preview", quiet=True)
    stack.run("preview", "--expect-no-changes", quiet=True)
