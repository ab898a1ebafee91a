"""Upgrades of docs/upgrade.md under the real engine: charts, Loki's schema, the size of a volume; and a rotation."""

import json
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import loki_config
from components.kube_prometheus_stack import OPTIONAL_CRDS
from components.versions import CHARTS
from settings.reader import PROJECT
from tools import charts, engine
from tools.cluster import Cluster
from tools.engine import LocalStack
from tools.synth import ROOT, stack_config

OLD = {"kube-prometheus-stack": "87.21.0", "prometheus-operator-crds": "30.0.1"}
"""Charts of operator 0.92.1, a major version before ours."""
SECTIONS = {"kube-prometheus-stack": "chart", "prometheus-operator-crds": "crdsChart"}
STATEFUL = ("prometheuses", "alertmanagers", "statefulsets", "persistentvolumeclaims", "namespaces", "crds")
ROLLED = {"loki-config": "update", "loki-stateful-set": "update"}
CLAIM = "data-loki-0"
GRAFANA = "kube-prometheus-stack-chart:monitoring/kube-prometheus-stack-grafana"
PASSWORD = "loki-gateway-password"
LARGER = "15Gi"


class Project:
    """A copy of the project, so that a test may change its program, with the stack `dev` on the fake cluster."""

    def __init__(self, local: Cluster, folder: Path) -> None:
        found = engine.find()
        assert isinstance(found, engine.Engine)
        self.local, self.root = local, folder / "project"
        self.stack = LocalStack(found, "dev", folder / "stack")
        unwanted = shutil.ignore_patterns(".*", "__pycache__", "out", "bench", "tests", "tools", "docs")
        shutil.copytree(ROOT, self.root, ignore=unwanted)
        (self.root / ".venv").symlink_to(ROOT / ".venv")

    def configure(self, locations: dict[str, Path], loki: dict[str, Any], crds: tuple[str, ...] = ()) -> None:
        """The stack file with charts from these places, settings of Loki, and CRDs that the stack has no use for."""
        chosen: dict[str, Any] = {SECTIONS[name]: {"location": str(place)} for name, place in locations.items()}
        chosen["optionalCrds"] = list(crds)
        config = {**stack_config(ROOT / "Pulumi.dev.yaml"), f"{PROJECT}:kubePrometheusStack": chosen}
        config[f"{PROJECT}:loki"] = {**config.get(f"{PROJECT}:loki", {}), **loki}
        file = self.root / "Pulumi.changed.yaml"
        file.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
        self.stack.prepare(self.local.kubeconfig, "http://127.0.0.1:9/{}".format, file)

    def run(self, command: str, *options: str) -> str:
        return self.stack.run(command, *options, "--cwd", str(self.root), quiet=True)

    def up(self) -> None:
        self.run("up", "--yes", "--skip-preview")
        self.run("preview", "--expect-no-changes")

    def steps(self, *options: str) -> dict[str, str]:
        """Operation of each resource that a preview changes, by name."""
        output = self.run("preview", "--json", *options)
        found: list[dict[str, Any]] = json.loads(output[output.index("{") :])["steps"]
        return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in found if step["op"] != "same"}

    def identities(self, *kinds: str) -> dict[str, str]:
        """Identity of every object of these kinds: one that was made anew has another."""
        found = json.loads(self.local.kubectl("get", ",".join(kinds), "--all-namespaces", "--output=json"))["items"]
        return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["uid"] for item in found}

    def get(self, *arguments: str) -> Any:
        return json.loads(self.local.kubectl("get", *arguments, "--output=json"))


def places(versions: dict[str, str | None]) -> dict[str, Path]:
    found = {name: charts.chart(name, version) for name, version in versions.items()}
    if missing := [f"{name} {versions[name] or ''}" for name, place in found.items() if place is None]:
        pytest.skip(f"UPGRADES ARE NOT TRIED HERE: these charts cannot be had: {', '.join(missing)}")
    return {name: place for name, place in found.items() if place}


@pytest.fixture(scope="module")
def project(local: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The stack with the old charts."""
    made = Project(local, tmp_path_factory.mktemp("upgrade"))
    made.configure(places(dict(OLD)), {}, crds=OPTIONAL_CRDS)
    # Passwords are yet to be made, and the preview of the charts is whole all the same.
    assert made.steps()[GRAFANA] == "create"
    made.up()
    return made


def test_1_the_charts_are_upgraded_in_place(project: Project) -> None:
    """And CRDs that the stack no longer installs stay, with their objects."""
    crd = ("crds", "prometheuses.monitoring.coreos.com")
    version = "operator.prometheus.io/version"
    assert project.get(*crd)["metadata"]["annotations"][version] == "0.92.1"
    before = project.identities(*STATEFUL, "secrets")
    assert {f"CustomResourceDefinition/{name}.monitoring.coreos.com" for name in OPTIONAL_CRDS} <= set(before)
    project.configure(places(dict.fromkeys(OLD)), {})
    steps = project.steps()
    print(f"{OLD} to {[CHARTS[name].version for name in OLD]}: {dict(Counter(steps.values()))}")
    assert steps["prometheus-operator-crds-release"] == "update"
    assert steps["kube-prometheus-stack-chart:monitoring/kube-prometheus-stack-operator"]
    replaced = {name: op for name, op in steps.items() if "replace" in op or op == "delete"}
    assert replaced == {}
    project.up()
    assert f"v{project.get(*crd)['metadata']['annotations'][version]}" == CHARTS["kube-prometheus-stack"].app_version
    after = project.identities(*STATEFUL, "secrets")
    assert {name: after.get(name) for name in before if not name.startswith("Secret/sh.helm")} == {
        name: uid for name, uid in before.items() if not name.startswith("Secret/sh.helm")
    }


def test_2_a_new_period_of_the_schema_rolls_loki_alone(project: Project) -> None:
    file = project.root / "components" / "loki_config.py"
    text, last = file.read_text(), f'"{loki_config.SCHEMAS[-1][1]}"),'
    day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert f"{last})" in text
    file.write_text(text.replace(f"{last})", f'{last} ("{day}", "v13"))'))
    before = project.identities(*STATEFUL)
    assert project.steps() == ROLLED
    project.up()
    content = yaml.safe_load(project.get("configmap", "loki-config", "--namespace=monitoring")["data"]["config.yaml"])
    days = [str(period["from"]) for period in content["schema_config"]["configs"]]
    assert days == [*(first for first, _ in loki_config.SCHEMAS), day]
    assert project.identities(*STATEFUL) == before


def test_3_a_larger_volume_keeps_its_claim_and_its_pod(project: Project) -> None:
    place = "--namespace=monitoring"
    loki = {"volumeSize": LARGER}
    project.configure(places(dict.fromkeys(OLD)), loki)
    assert project.steps() == {"loki-stateful-set": "replace"}, "and the preview says so"
    storage_class = project.get("pvc", CLAIM, place)["spec"]["storageClassName"]
    project.local.kubectl("patch", "storageclass", storage_class, "--patch", '{"allowVolumeExpansion": true}')
    request = {"spec": {"resources": {"requests": {"storage": LARGER}}}}
    project.local.kubectl("patch", "pvc", CLAIM, place, "--patch", json.dumps(request))
    before = project.identities("pods", "persistentvolumeclaims")
    project.local.kubectl("delete", "statefulset", "loki", place, "--cascade=orphan")
    project.up()
    after = project.identities("pods", "persistentvolumeclaims")
    assert after[f"PersistentVolumeClaim/{CLAIM}"] == before[f"PersistentVolumeClaim/{CLAIM}"]
    assert after["Pod/loki-0"] == before["Pod/loki-0"]
    [template] = project.get("statefulset", "loki", place)["spec"]["volumeClaimTemplates"]
    assert template["spec"]["resources"]["requests"]["storage"] == LARGER


def test_4_a_new_password_of_loki_rolls_its_gateway_and_grafana(project: Project) -> None:
    """The agents and others read their file again."""
    replace = f"--replace=**::{PASSWORD}"
    before = project.identities("pods")
    steps = project.steps(replace)
    assert {name for name, op in steps.items() if "replace" in op} == {PASSWORD}
    assert {name for name, op in steps.items() if op == "update"} == {
        "loki-gateway-credentials-main",
        "loki-gateway-credentials-agents",
        "loki-gateway-htpasswd",
        "loki-gateway-deployment",
        GRAFANA,
    }
    project.run("up", "--yes", "--skip-preview", replace)
    project.run("preview", "--expect-no-changes")
    gone = set(before) - set(project.identities("pods"))
    assert {name.removeprefix("Pod/").removeprefix("kube-prometheus-stack-").split("-")[0] for name in gone} == {
        "loki",
        "grafana",
    }
    assert not [name for name in gone if name.startswith("Pod/loki-") and not name.startswith("Pod/loki-gateway-")]
