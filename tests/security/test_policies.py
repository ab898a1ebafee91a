"""Each rule of the policy pack lets a good object pass and finds a bad one; all objects of both stacks pass."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from policies import object_rules
from policies.object_rules import RULES
from tests.security.stacks import STACKS, Object, objects
from tools.stand_in import STANDS_FOR

SELECTOR = {"app.kubernetes.io/name": "web"}
NOTES = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
DEPLOYMENT: Object = {
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "monitoring", "labels": SELECTOR},
    "spec": {
        "replicas": 2,
        "template": {
            "metadata": {"labels": SELECTOR},
            "spec": {
                "automountServiceAccountToken": False,
                "priorityClassName": "observability",
                "topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname"}],
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [
                    {
                        "name": "web",
                        "image": "registry.example.com/web:v1.2.3",
                        "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
                        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"memory": "2Mi"}},
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        },
    },
}
BUDGET: Object = {
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "web", "namespace": "monitoring"},
    "spec": {"selector": {"matchLabels": SELECTOR}},
}
CLAIMS = {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"}}
STATEFUL: Object = {**DEPLOYMENT, "kind": "StatefulSet"}
STATEFUL = {**STATEFUL, "spec": {**STATEFUL["spec"], **CLAIMS, "volumeClaimTemplates": [{"metadata": {"name": "d"}}]}}
SERVICE: Object = {"kind": "Service", "metadata": {"name": "web", "labels": SELECTOR}, "spec": {"type": "ClusterIP"}}
ROLE: Object = {
    "kind": "ClusterRole",
    "metadata": {"name": "web"},
    "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
}
CONFIG: Object = {"kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"a": "password_file: /etc/password"}}
NAMESPACE: Object = {"kind": "Namespace", "metadata": {"name": "monitoring", "annotations": NOTES}}
GOOD = [DEPLOYMENT, BUDGET, STATEFUL, SERVICE, ROLE, CONFIG, NAMESPACE]


def container(item: Object) -> dict[str, Any]:
    found: dict[str, Any] = item["spec"]["template"]["spec"]["containers"][0]
    return found


def pod_spec(item: Object) -> dict[str, Any]:
    found: dict[str, Any] = item["spec"]["template"]["spec"]
    return found


def set_image(image: str) -> Callable[[list[Object]], None]:
    return lambda items: container(items[0]).update(image=image)


def set_data(text: str) -> Callable[[list[Object]], None]:
    return lambda items: items[5]["data"].update(b=text)


def set_rule(**changes: list[str]) -> Callable[[list[Object]], None]:
    return lambda items: items[4]["rules"][0].update(changes)


def set_security(**changes: Any) -> Callable[[list[Object]], None]:
    return lambda items: container(items[0])["securityContext"].update(changes)


BAD: list[tuple[str, Callable[[list[Object]], Any]]] = [
    ("images-pinned", set_image("registry.example.com/web:stable")),
    ("images-pinned", set_image("registry.example.com:5000/web")),
    ("no-latest", set_image("registry.example.com/web:latest")),
    ("no-latest", set_image("registry.example.com:5000/web")),
    ("no-latest", set_image("web")),
    ("probes", lambda items: container(items[0]).pop("readinessProbe")),
    ("limits", lambda items: container(items[0])["resources"].pop("limits")),
    ("limits", lambda items: container(items[0])["resources"]["requests"].pop("cpu")),
    ("disruption-budgets", lambda items: items.remove(items[1])),
    ("disruption-budgets", lambda items: items[1]["spec"].update(selector={"matchLabels": {"app": "other"}})),
    ("no-secret-in-config-map", set_data("-----BEGIN PRIVATE KEY-----")),
    ("no-secret-in-config-map", set_data("url: https://user:word@example.com")),
    ("no-secret-in-config-map", set_data("password: hunter2hunter2")),
    ("no-secret-in-config-map", set_data("token: 123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr")),
    ("data-retained", lambda items: items[2]["spec"].pop("persistentVolumeClaimRetentionPolicy")),
    ("data-retained", lambda items: items[6]["metadata"].pop("annotations")),
    ("labelled", lambda items: items[3]["metadata"].pop("labels")),
    ("not-public", lambda items: items[3]["spec"].update(type="LoadBalancer")),
    ("not-public", lambda items: items[3]["spec"].update(type="NodePort")),
    ("narrow-roles", set_rule(verbs=["*"])),
    ("narrow-roles", set_rule(resources=["*"])),
    ("narrow-roles", set_rule(resources=["secrets"])),
    ("restricted", set_security(readOnlyRootFilesystem=False)),
    ("restricted", set_security(allowPrivilegeEscalation=True)),
    ("priorities", lambda items: pod_spec(items[0]).pop("priorityClassName")),
    ("spread", lambda items: pod_spec(items[0]).pop("topologySpreadConstraints")),
    ("tokens", lambda items: pod_spec(items[0]).pop("automountServiceAccountToken")),
    ("restricted", set_security(privileged=True)),
    ("restricted", set_security(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]})),
    ("restricted", set_security(runAsNonRoot=False)),
    ("restricted", lambda items: items[0]["spec"]["template"]["spec"].pop("securityContext")),
]


@pytest.mark.parametrize("name", RULES)
def test_good_objects_pass(name: str) -> None:
    assert RULES[name](GOOD) == []


@pytest.mark.parametrize(("name", "spoil"), BAD)
def test_a_bad_object_is_found(name: str, spoil: Callable[[list[Object]], Any]) -> None:
    items = copy.deepcopy(GOOD)
    spoil(items)
    found = RULES[name](items)
    assert len(found) >= 1
    assert "/web" in found[0] or "/monitoring" in found[0]


def test_every_rule_has_a_bad_object() -> None:
    assert {name for name, _ in BAD} == set(RULES)


def test_a_digest_is_a_pin_and_consent_is_heard() -> None:
    items = copy.deepcopy(GOOD)
    container(items[0])["image"] = f"registry.example.com/web@sha256:{'0' * 64}"
    items[3]["spec"]["type"] = "LoadBalancer"
    items[3]["metadata"]["annotations"] = {object_rules.CONSENT: "people reach Grafana by it"}
    assert [violation for rule in RULES.values() for violation in rule(items)] == []


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("stack", STACKS)
def test_the_stacks_keep_the_rule(stack: str, name: str) -> None:
    everything = objects(stack)
    # The stand-in for the chart never leaves the local cluster, and is not what the rules are about.
    judged = [item for item in everything if STANDS_FOR not in (item["metadata"].get("labels") or {})]
    assert RULES[name](judged) == []
