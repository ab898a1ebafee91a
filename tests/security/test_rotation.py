"""A new value of a secret rolls the pods that cannot read it again, and no others."""

from functools import cache
from typing import Any

import pytest

from settings.reader import secret_keys
from tests.security.canaries import planted
from tests.security.stacks import WORKLOADS, changed
from tests.security.test_secrets import STORAGE_KEYS
from tools.manifests import objects_of
from tools.synth import ROOT, stack_config, synthesize

OPERATED = {"Prometheus", "Alertmanager"}
LOKI = {("StatefulSet", "loki")}
GATEWAY = {("Deployment", "loki-gateway")}
STORAGE = {"accessKey", "secretKey"}
TUNNEL = {("Deployment", "cloudflared")}
TUNNEL_TOKEN = "cloudflareTunnelToken"


@cache
def keys() -> list[str]:
    return secret_keys(changed("prod", STORAGE_KEYS))


@cache
def pods_of(rotated: str) -> dict[tuple[str, str], Any]:
    """What makes pods, with one secret of the stack or one generated password anew."""
    config = stack_config(ROOT / "Pulumi.prod.yaml")
    config |= {f"observability:{section}": content for section, content in STORAGE_KEYS.items()}

    def value(name: str, _length: int = 0) -> str:
        return planted(f"{name}-rotated" if name == rotated else name)

    found = synthesize("prod", config, secrets={key: value(key) for key in keys()}, password=value)
    objects = [item for resource in found.resources if (item := objects_of(resource))]
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
    assert rolled_by(name) == (LOKI if name in STORAGE else TUNNEL if name == TUNNEL_TOKEN else set())


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
