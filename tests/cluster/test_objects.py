"""Every rendered object of both stacks is accepted by a real API server, and the real operator makes good of them."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from components import addresses
from tests.cluster.operated import OPERATOR_SECONDS, check, configuration, has, packed, rule_files, wait_for
from tests.cluster.operated import operator as running_operator
from tools import cluster
from tools.apply import LocalSecrets, apply
from tools.binaries import find
from tools.cluster import Cluster
from tools.manifests import Manifests, manifests
from tools.synth import ROOT


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster.fake(tmp_path_factory.mktemp("objects")) as running:
        yield running


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Manifests]:
    secrets = LocalSecrets(tmp_path_factory.mktemp("secrets") / "secrets.json")

    def render(stack: str) -> Manifests:
        return manifests(
            stack, ROOT / f"Pulumi.{stack}.yaml", secrets=secrets.value, password=secrets.password, local=True
        )

    return render


@pytest.mark.parametrize("stack", ["prod", "dev"])
def test_objects_are_accepted(local: Cluster, rendered: Callable[[str], Manifests], stack: str) -> None:
    """The second stack replaces the first: what it does not have is deleted, and applying again changes nothing."""
    objects = rendered(stack)
    if objects.missing_charts:
        print(f"NOT PROVEN HERE: objects of {', '.join(objects.missing_charts)}, whose chart cannot be reached")
    changed = apply(local.kubeconfig, objects)
    assert len([line for line in changed if line.endswith("created")]) > 0
    assert apply(local.kubeconfig, objects) == []


def test_what_the_stack_no_longer_has_is_deleted(local: Cluster, rendered: Callable[[str], Manifests]) -> None:
    objects = rendered("dev")
    gone = next(item for item in objects.objects if item["kind"] == "ConfigMap")
    objects.objects.remove(gone)
    name, namespace = gone["metadata"]["name"], gone["metadata"]["namespace"]
    assert apply(local.kubeconfig, objects) == [f"ConfigMap/{namespace}/{name} deleted"]
    assert local.kubectl("get", "configmap", name, "--namespace", namespace, "--ignore-not-found") == ""
    objects.objects.append(gone)
    assert apply(local.kubeconfig, objects) == [f"ConfigMap/{namespace}/{name} created"]


@pytest.fixture(scope="module")
def operator(local: Cluster, rendered: Callable[[str], Manifests], tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster with stack dev, after the operator has made a StatefulSet of each of its objects."""
    apply(local.kubeconfig, rendered("dev"))
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    wanted = {"prometheuses": f"prometheus-{addresses.PROMETHEUS}", "alertmanagers": "alertmanager-alertmanager"}
    with running_operator(local, log):
        for kind, name in wanted.items():
            if local.kubectl("get", kind, "--all-namespaces", "--output=name").strip():
                wait_for(
                    f"StatefulSet {name} ({log.read_text()[-2000:]})",
                    partial(has, local, name),
                    OPERATOR_SECONDS,
                )
    return local


def test_operator_makes_a_good_alertmanager_configuration(operator: Cluster, tmp_path: Path) -> None:
    text = packed(operator, "alertmanager-alertmanager-generated", "alertmanager.yaml.gz")
    config = tmp_path / "alertmanager.yaml"
    config.write_text(yaml.safe_dump({k: v for k, v in yaml.safe_load(text).items() if k != "templates"}))
    check(find("amtool"), "check-config", config)


def test_operator_makes_a_good_prometheus_configuration(operator: Cluster, tmp_path: Path) -> None:
    content = configuration(operator, addresses.PROMETHEUS, tmp_path)
    targets = json.dumps(content["alerting"]["alertmanagers"])
    assert f'"regex": "{addresses.ALERTMANAGER}"' in targets
    assert '"api_version": "v2"' in targets
    assert content["global"]["external_labels"]["cluster"] == "dev"
    jobs = {scrape["job_name"] for scrape in content["scrape_configs"]}
    assert {"serviceMonitor/monitoring/loki/0", "podMonitor/monitoring-agents/promtail/0"} <= jobs
    assert any(job.startswith("probe/monitoring/observability-") for job in jobs)


def test_operator_gives_prometheus_our_rules(operator: Cluster, tmp_path: Path) -> None:
    files = rule_files(operator, addresses.PROMETHEUS)
    ours = {
        item["metadata"]["name"]
        for item in json.loads(
            operator.kubectl(
                "get",
                "prometheusrules",
                "--namespace=monitoring",
                "--output=json",
                "--selector=app.kubernetes.io/name=alert-rules",
            )
        )["items"]
    }
    assert ours
    for rule in ours:
        assert any(name.startswith(f"monitoring-{rule}-") for name in files), rule
    for name, text in files.items():
        path = tmp_path / name
        path.write_text(text)
        check(find("promtool"), "check", "rules", path)
