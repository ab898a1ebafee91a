"""Every object keeps to the schemas of three Kubernetes versions, with no key that the API does not know."""

import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scan.schemas import RELEASES, TEMPLATE, write_custom, write_kubernetes
from tests.security.stacks import STACKS, objects
from tools.binaries import find
from tools.manifests import manifests
from tools.synth import ROOT

SKIPPED = "CustomResourceDefinition"
"""Its schema describes itself; the API server takes the CRDs in the cluster tier."""


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    crds = [item for item in manifests("dev", ROOT / "Pulumi.dev.yaml").objects if item["kind"] == SKIPPED]
    assert crds

    @cache
    def of(release: str) -> Path:
        folder = tmp_path_factory.mktemp(f"schemas-{release}")
        own, custom = write_kubernetes(release, folder), write_custom(crds, folder)
        print(f"Kubernetes {release}: {own} kinds of its own, {custom} custom ones")
        return folder

    return of


def kubeconform(schemas: Path, file: Path) -> tuple[dict[str, int], list[str]]:
    """The summary, and one sentence for each object that does not keep to its schema."""
    command = [
        str(find("kubeconform")),
        "-output=json",
        "-summary",
        "-strict",
        f"-skip={SKIPPED}",
        f"-schema-location={schemas}/{TEMPLATE}",
        str(file),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    answer = json.loads(result.stdout)
    wrong = [f"{item['kind']}/{item['name']}: {item['msg']}" for item in answer["resources"]]
    summary = answer["summary"]
    assert (result.returncode == 0) == (not wrong), result.stdout + result.stderr
    return summary, wrong


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("stack", STACKS)
def test_objects_keep_to_the_schemas(
    schemas: Callable[[str], Path], files: dict[str, Path], stack: str, release: str
) -> None:
    summary, wrong = kubeconform(schemas(release), files[stack])
    print(f"{stack}, Kubernetes {release}: {summary}")
    assert wrong == []
    assert summary["valid"] > 60
    assert summary["errors"] == summary["invalid"] == 0


PLANTED: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("Deployment", lambda item: item["spec"]["template"]["spec"].update(securityContex={})),
    ("Deployment", lambda item: item["spec"].update(replicas="two")),
    ("StatefulSet", lambda item: item["spec"].pop("selector")),
    ("NetworkPolicy", lambda item: item["spec"].update(policyTypes="Egress")),
    ("Probe", lambda item: item["spec"].update(modul="http_2xx")),
    ("PrometheusRule", lambda item: item["spec"]["groups"][0].pop("name")),
]


@pytest.mark.parametrize(("kind", "spoil"), PLANTED, ids=[f"{kind}-{at}" for at, (kind, _) in enumerate(PLANTED)])
def test_a_planted_violation_trips_it(
    schemas: Callable[[str], Path], tmp_path: Path, kind: str, spoil: Callable[[dict[str, Any]], Any]
) -> None:
    item = json.loads(json.dumps(next(item for item in objects("prod") if item["kind"] == kind)))
    spoil(item)
    file = tmp_path / "planted.yaml"
    file.write_text(yaml.safe_dump(item))
    _, wrong = kubeconform(schemas("1.36"), file)
    assert len(wrong) == 1
    assert wrong[0].startswith(f"{kind}/")
