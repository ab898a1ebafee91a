"""The real kube-state-metrics makes `gotk_resource_info` of Flux's objects, with the labels that rules ask for."""

import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from components.flux_state import KINDS, custom_resource_state
from tests.cluster.traces import wait_for
from tests.daemon import daemon
from tools import cluster
from tools.binaries import find
from tools.ports import free_ports

GIT = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository"}
APPLY = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization"}
RELEASE = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"}
OBJECTS: list[dict[str, Any]] = [
    {
        **GIT,
        "metadata": {"name": "fleet", "namespace": "default"},
        "spec": {"url": "https://git.example.com/fleet"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "artifact": {"revision": "main@sha1:abc"}},
    },
    {
        **APPLY,
        "metadata": {"name": "apps", "namespace": "default"},
        "spec": {"sourceRef": {"kind": "GitRepository", "name": "fleet"}, "suspend": True},
        "status": {
            "conditions": [{"type": "Reconciling", "status": "True"}, {"type": "Ready", "status": "False"}],
            "lastAppliedRevision": "main@sha1:abc",
        },
    },
    {
        **RELEASE,
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {"chart": {"spec": {"sourceRef": {"kind": "HelmRepository", "name": "charts"}}}},
        "status": {
            "conditions": [{"type": "Ready", "status": "Unknown"}],
            "history": [{"chartName": "shop", "chartVersion": "1.2.3"}],
        },
    },
]


def definition(group: str, version: str, kind: str) -> dict[str, Any]:
    """A CRD of Flux as far as kube-state-metrics sees it: Flux's own fields are whatever they are."""
    plural = f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"
    anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [{"name": version, "served": True, "storage": True, "schema": anything}],
        },
    }


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    """The labels of each object's series, by its name. HelmCharts and Buckets are not in this cluster."""
    folder = tmp_path_factory.mktemp("flux")
    present = [known for known in KINDS if known[2] in {"GitRepository", "Kustomization", "HelmRelease"}]
    with cluster.fake(folder) as running:
        text = yaml.safe_dump_all([definition(*known) for known in present])
        running.kubectl("apply", "--server-side", "--filename=-", stdin=text)
        for known in present:
            name = definition(*known)["metadata"]["name"]
            running.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=120s")
        running.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(OBJECTS))
        config = folder / "state.yaml"
        config.write_text(yaml.safe_dump(custom_resource_state()))
        [port] = free_ports(1)
        options = [f"--kubeconfig={running.kubeconfig}", f"--port={port}", "--host=127.0.0.1", "--resources=nodes"]
        options += [f"--custom-resource-state-config-file={config}", "--telemetry-host=127.0.0.1", "--telemetry-port=0"]
        url = f"http://127.0.0.1:{port}/metrics"
        with daemon([find("kube-state-metrics"), *options], folder / "ksm.log"):
            yield wait_for("series of each object", lambda: _info(url), lambda found: len(found) == len(OBJECTS), 120)


def _info(url: str) -> dict[str, dict[str, str]]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    found = [
        dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in re.findall(r"^gotk_resource_info{(.*)} 1$", text, re.M)
    ]
    return {labels["name"]: labels for labels in found}


def test_each_kind_tells_its_state(series: dict[str, dict[str, str]]) -> None:
    seen = {name: (one["customresource_kind"], one["exported_namespace"], one["ready"]) for name, one in series.items()}
    assert seen == {
        "fleet": ("GitRepository", "default", "True"),
        "apps": ("Kustomization", "default", "False"),
        "shop": ("HelmRelease", "default", "Unknown"),
    }
    assert series["apps"]["suspended"] == "true"


def test_each_kind_tells_what_was_applied(series: dict[str, dict[str, str]]) -> None:
    assert (series["fleet"]["url"], series["fleet"]["revision"]) == ("https://git.example.com/fleet", "main@sha1:abc")
    assert (series["apps"]["source_name"], series["apps"]["revision"]) == ("fleet", "main@sha1:abc")
    assert series["shop"]["source_name"] == "charts"
    assert (series["shop"]["chart_name"], series["shop"]["revision"]) == ("shop", "1.2.3")
