"""A new value of a secret rolls the pods that cannot read it again, and no others."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from settings.reader import secret_keys
from tests.security.canaries import planted, planted_ca
from tests.security.stacks import WORKLOADS, changed
from tests.security.test_secrets import CA, STORAGE_KEYS
from tools.manifests import objects_of
from tools.synth import ROOT, Program, stack_config, synthesize

OPERATED = {"Prometheus", "Alertmanager"}
LOKI = {("StatefulSet", "loki")}
GATEWAY = {("Deployment", "loki-gateway")}
DISTRIBUTED = {**STORAGE_KEYS, "loki": {**STORAGE_KEYS["loki"], "mode": "distributed"}}
ROLLED = {
    "accessKey": LOKI,
    "secretKey": LOKI,
    "cloudflareTunnelToken": {("Deployment", "cloudflared")},
    # NGINX reads its passwords once; the agent that sends to a hub reads its own at every push.
    "edgeLogs": GATEWAY,
}


@cache
def keys() -> list[str]:
    return secret_keys(changed("prod", STORAGE_KEYS))


def made(rotated: str, sections: Mapping[str, Any]) -> Program:
    """The program's resources, with secrets of the stack or generated passwords anew: their names, with blanks."""
    config = stack_config(ROOT / "Pulumi.prod.yaml")
    config |= {f"observability:{section}": content for section, content in sections.items()}

    def value(name: str, _length: int = 0) -> str:
        plant = planted_ca if name == CA else planted
        return plant(f"{name}-rotated" if name in rotated.split() else name)

    secrets = {key: value(key) for key in secret_keys(changed("prod", sections))}
    return synthesize("prod", config, secrets=secrets, password=value)


@cache
def pods_of(rotated: str) -> dict[tuple[str, str], Any]:
    """What makes pods."""
    objects = [item for resource in made(rotated, STORAGE_KEYS).resources if (item := objects_of(resource))]
    return {
        (item["kind"], item["metadata"]["name"]): item["spec"]["template"]
        if item["kind"] in WORKLOADS
        else item["spec"]
        for item in objects
        if item["kind"] in WORKLOADS | OPERATED
    }


def rolled_by(name: str) -> set[tuple[str, str]]:
    before, after = pods_of(""), pods_of(name)
    assert set(before) == set(after)
    return {key for key in before if before[key] != after[key]}


@pytest.mark.parametrize("name", keys())
def test_a_secret_of_the_stack_file_rolls_its_users(name: str) -> None:
    assert rolled_by(name) == ROLLED.get(name, set())


@cache
def values_of(rotated: str) -> Any:
    """What the chart of a distributed Loki is given; its pods are made of it."""
    [chart] = [one for one in made(rotated, DISTRIBUTED).of_type("v4:Chart") if one.inputs["name"] == "loki"]
    assert not chart.secret
    return chart.inputs["values"]


@pytest.mark.parametrize("name", keys())
def test_a_key_of_the_bucket_rolls_every_part_of_a_distributed_loki(name: str) -> None:
    before, after = values_of(""), values_of(name)
    assert (before["loki"]["podAnnotations"] != after["loki"]["podAnnotations"]) == (ROLLED.get(name) == LOKI)
    assert {key for key in before if before[key] != after[key]} == ({"loki"} if ROLLED.get(name) == LOKI else set())


@pytest.mark.parametrize(
    ("name", "users"),
    [
        ("loki-gateway-password", GATEWAY),
        ("loki-gateway-salt", GATEWAY),
        ("kube-prometheus-stack-grafana-password", set()),
    ],
)
def test_a_generated_password_rolls_its_users(name: str, users: set[tuple[str, str]]) -> None:
    assert rolled_by(name) == users


GRAFANA_READS = ("loki-gateway-password", "kube-prometheus-stack-grafana-password", "grafanaOidc")
URL = "https://login.example.com/oauth"
SIGN_IN = {"clientId": "grafana", "clientSecretSecret": "grafanaOidc", "authUrl": URL, "tokenUrl": URL, "apiUrl": URL}
WITH_SIGN_IN = {**STORAGE_KEYS, "grafana": {"externalUrl": "https://grafana.example.com", "oidc": SIGN_IN}}


@cache
def values_with_grafana(rotated: str) -> Any:
    """What the chart that brings Grafana is given."""
    charts = made(rotated, WITH_SIGN_IN).of_type("v4:Chart")
    [chart] = [one for one in charts if one.inputs["name"] == "kube-prometheus-stack"]
    assert not chart.secret
    return chart.inputs["values"]


@pytest.mark.parametrize("name", GRAFANA_READS)
def test_a_secret_that_grafana_reads_at_its_start_rolls_it(name: str) -> None:
    before, after = values_with_grafana(""), values_with_grafana(name)
    assert {key for key in before if before[key] != after[key]} == {"grafana"}
    before, after = before["grafana"], after["grafana"]
    assert {key for key in before if before[key] != after[key]} == {"podAnnotations"}


def test_no_other_secret_changes_the_chart() -> None:
    others = " ".join([*keys(), "loki-gateway-salt"])
    assert values_with_grafana("") == values_with_grafana(others)
