"""The official chart, rendered by Helm with our values."""

import json
from typing import Any

import pytest
import yaml

from components import loki_config, loki_distributed
from settings import Settings
from tests.live.storage.lokis import with_loki
from tools import charts

RULES = ["rules-loki-events", "rules-loki-kernel"]
SETTINGS = with_loki(mode="distributed", parts={"queriers": 4, "rulers": 3})
ROLLED_BY = {"checksum/credentials": "0123"}
Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def objects() -> Objects:
    location = charts.chart("loki")
    if location is None:
        pytest.skip(
            f"THE CHART IS NOT PROVEN HERE: loki cannot be pulled, and {charts.SETTING} names no folder with it"
        )
    values = loki_distributed.values(SETTINGS, RULES, ROLLED_BY)
    found = charts.template(location, "loki", "monitoring", values)
    return {(item["kind"], item["metadata"]["name"]): item for item in found}


def pods(objects: Objects) -> dict[str, dict[str, Any]]:
    workloads = {name: item for (kind, name), item in objects.items() if kind in {"Deployment", "StatefulSet"}}
    return {name: item["spec"]["template"]["spec"] for name, item in workloads.items()}


def test_every_part_has_its_replicas(objects: Objects) -> None:
    found = {
        name: item["spec"]["replicas"] for (_, name), item in objects.items() if "replicas" in item.get("spec", {})
    }
    assert found == {
        "loki-distributor": 3,
        "loki-ingester": 3,
        "loki-querier": 4,
        "loki-query-frontend": 2,
        "loki-query-scheduler": 2,
        "loki-index-gateway": 2,
        "loki-compactor": 1,
        "loki-ruler": 3,
    }


def test_the_configuration_is_ours_word_for_word(objects: Objects) -> None:
    text = objects["ConfigMap", "loki"]["data"]["config.yaml"]
    assert yaml.safe_load(text) == loki_config.config(SETTINGS)


def addresses(config: Settings) -> set[str]:
    """Names of Services that the configuration asks for."""
    words = json.dumps(loki_config.config(config)).replace('"', " ").replace("/", " ").replace("+", " ").split()
    return {word.split(".")[0] for word in words if ".svc.cluster.local" in word and word.startswith("loki")}


def test_every_service_that_the_configuration_names_exists(objects: Objects) -> None:
    wanted = addresses(SETTINGS) | {"loki-distributor", "loki-query-frontend", "loki-ruler"}
    assert len(wanted) >= 7
    assert wanted <= {name for kind, name in objects if kind == "Service"}


def test_rules_are_mounted_where_the_ruler_looks(objects: Objects) -> None:
    pod = pods(objects)["loki-ruler"]
    [volume] = [one for one in pod["volumes"] if one["name"] == "rules"]
    assert [one["configMap"]["name"] for one in volume["projected"]["sources"]] == RULES
    [mount] = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "rules"]
    assert mount["mountPath"] == f"{loki_config.RULES_FOLDER}/main"


def test_pods_keep_our_rules(objects: Objects) -> None:
    """Restricted, sized, spread over zones, credentials by environment, and disruptions one at a time."""
    for name, pod in pods(objects).items():
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["resources"]["requests"]
        assert "affinity" not in pod
        assert "topology.kubernetes.io/zone" in json.dumps(pod["topologySpreadConstraints"])
        references = [one for one in container["env"] if "secretKeyRef" in one.get("valueFrom", {})]
        assert {one["valueFrom"]["secretKeyRef"]["name"] for one in references} == {"loki-storage"}
        assert pod["automountServiceAccountToken"] is False
    budgets = {name for kind, name in objects if kind == "PodDisruptionBudget"}
    assert budgets == set(pods(objects)) - {"loki-compactor"}


def test_new_keys_of_the_bucket_roll_every_part(objects: Objects) -> None:
    templates = [item["spec"]["template"] for item in objects.values() if "template" in item.get("spec", {})]
    assert len(templates) == len(pods(objects))
    assert all(one["metadata"]["annotations"].items() >= ROLLED_BY.items() for one in templates)


def test_nothing_but_loki_is_in_it(objects: Objects) -> None:
    assert {kind for kind, _ in objects} == {
        "ConfigMap",
        "Deployment",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
        "StatefulSet",
    }
