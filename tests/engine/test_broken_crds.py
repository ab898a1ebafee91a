"""CRDs that the API server refuses: the run ends with their reason, and the next one with good CRDs completes it."""

import shutil

import pytest
import yaml

from components.monitors import GROUP
from settings.reader import PROJECT
from tools import charts, engine
from tools.cluster import Cluster
from tools.console import UserError
from tools.engine import LocalStack
from tools.synth import ROOT, stack_config

CRDS = "prometheus-operator-crds"
REFUSED = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: brokens.example.org}
spec:
  group: example.org
  names: {kind: Broken, plural: brokens}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: nonsense}}}]
"""
REASON = '"brokens.example.org" is invalid'
SECRET = "http://127.0.0.1:9/{}".format


@pytest.fixture(scope="module")
def stack(local: Cluster, tmp_path_factory: pytest.TempPathFactory) -> LocalStack:
    found, good = engine.find(), charts.chart(CRDS)
    assert isinstance(found, engine.Engine)
    if good is None:
        pytest.skip("BROKEN CRDS ARE NOT TRIED HERE: the chart cannot be had")
    folder = tmp_path_factory.mktemp("stack")
    broken = folder / "chart"
    shutil.copytree(good, broken)
    (broken / "templates").mkdir(exist_ok=True)
    (broken / "templates" / "broken.yaml").write_text(REFUSED)
    config = stack_config(ROOT / "Pulumi.dev.yaml")
    chosen = {**config.get(f"{PROJECT}:kubePrometheusStack", {}), "crdsChart": {"location": str(broken)}}
    file = folder / "Pulumi.broken.yaml"
    file.write_text(yaml.safe_dump({"config": {**config, f"{PROJECT}:kubePrometheusStack": chosen}}))
    made = LocalStack(found, "dev", folder)
    made.prepare(local.kubeconfig, SECRET, file)
    return made


def made(local: Cluster, kind: str) -> list[str]:
    return local.kubectl("get", kind, "--all-namespaces", "--output=name").split()


@pytest.mark.parametrize("options", [("--continue-on-error",), ()], ids=["continue on error", "plain"])
def test_1_up_fails_and_says_why(stack: LocalStack, local: Cluster, options: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        stack.run("up", "--yes", "--skip-preview", *options, quiet=True)
    assert REASON in str(caught.value)
    assert "Traceback" not in str(caught.value)
    if options:
        for workload in ("statefulset.apps/loki", "deployment.apps/kube-prometheus-stack-kube-state-metrics"):
            assert workload in made(local, "statefulsets,deployments"), "what needs no CRD is made"


def test_2_good_crds_complete_it(stack: LocalStack, local: Cluster) -> None:
    stack.prepare(local.kubeconfig, SECRET)
    stack.run("up", "--yes", "--skip-preview", quiet=True)
    stack.run("preview", "--expect-no-changes", quiet=True)
    assert f"prometheus.{GROUP}/kube-prometheus-stack-prometheus" in made(local, "prometheuses")
