"""Contracts that every component keeps, and what each of them asks for."""

import importlib
import inspect
import json
import pkgutil
from collections import Counter
from collections.abc import Callable

import pulumi
import pytest
import yaml

import components
from tools.manifests import unset_secrets
from tools.synth import ROOT, Program, Resource, placeholder, stack_config, synthesize

TYPE_TOKENS = {
    "AlertRules",
    "Alertmanager",
    "Alloy",
    "AnnotatedPods",
    "ArgoCd",
    "BlackboxExporter",
    "CentralLogs",
    "CloudflareTunnel",
    "Dashboards",
    "DcgmExporter",
    "EventExporter",
    "Exporters",
    "Flux",
    "Hub",
    "KubePrometheusStack",
    "Loki",
    "LokiDistributed",
    "LokiGateway",
    "Minio",
    "Namespaces",
    "NetworkPolicies",
    "ObservabilityStack",
    "PodAdmission",
    "PrometheusOperatorCrds",
    "Promtail",
}
"""A token is part of every URN of a deployed stack: it never changes without an alias."""


def component_classes() -> dict[str, type[pulumi.ComponentResource]]:
    for module in pkgutil.iter_modules(components.__path__):
        importlib.import_module(f"components.{module.name}")
    return {cls.__name__: cls for cls in pulumi.ComponentResource.__subclasses__() if "components." in cls.__module__}


def of_component(program: Program, name: str) -> list[Resource]:
    return [resource for resource in program.resources if resource.parent.endswith(f"::{name}")]


def by_type(program: Program, name: str) -> Counter[str]:
    return Counter(resource.type.split(":")[-1] for resource in of_component(program, name))


def test_type_tokens_are_constant(program_of: Callable[[str], Program]) -> None:
    resources = [*program_of("dev").resources, *program_of("prod").resources]
    used = {r.type for r in resources if r.type.startswith("observability:")}
    assert set(component_classes()) == TYPE_TOKENS
    # What no stack file of ours chooses, runs or is.
    unused = {"Alloy", "ArgoCd", "CentralLogs", "Hub", "LokiDistributed", "Minio"}
    assert used == {f"observability:index:{name}" for name in TYPE_TOKENS - unused}


@pytest.mark.parametrize("cls", component_classes().values(), ids=lambda cls: cls.__name__)
def test_arguments_are_keywords(cls: type[pulumi.ComponentResource]) -> None:
    name, *rest = inspect.signature(cls).parameters.values()
    assert name.name == "name"
    assert {argument.name: argument.kind for argument in rest if argument.name != "opts"} == {
        argument.name: inspect.Parameter.KEYWORD_ONLY for argument in rest if argument.name != "opts"
    }
    assert inspect.signature(cls).parameters["opts"].default is None


def test_outputs_are_registered(program: Program) -> None:
    names = {resource.name for resource in program.resources if resource.type.startswith("observability:")}
    assert names <= set(program.outputs)


def test_children_are_named_after_their_component(program: Program) -> None:
    for resource in program.resources:
        parent = resource.parent.rsplit("::", 1)[-1]
        if resource.type.startswith("observability:") or not parent or "pulumi:Stack" in resource.parent:
            continue
        assert resource.name.startswith(f"{parent}-"), resource.urn


def test_everything_lies_under_the_stack_component(program: Program) -> None:
    parents = {resource.urn: resource.parent for resource in program.resources}
    [root] = [resource.urn for resource in program.resources if resource.name == "observability"]
    for resource in program.resources:
        urn = resource.urn
        while parents.get(urn) in parents:
            urn = parents[urn]
        assert urn == root or resource.type == "pulumi:providers:kubernetes", resource.urn


def test_every_object_uses_the_one_provider(program: Program) -> None:
    objects = [r for r in program.resources if r.type.startswith("kubernetes:")]
    assert {r.provider.rsplit("::", 2)[-2] for r in objects} == {"cluster"}


def test_namespaces_outlive_destroy(program: Program) -> None:
    kept = program.of_type(":NamespacePatch")
    assert len(kept) == 2
    assert all(resource.retain_on_delete for resource in kept)
    levels = {r.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] for r in kept}
    assert levels == {"restricted", "privileged"}


def test_crds_come_before_objects_of_their_kinds(program: Program) -> None:
    [release] = program.of_type("helm.sh/v3:Release")
    kinds = [r for r in program.resources if ":monitoring.coreos.com/" in r.type]
    assert len(kinds) > 10
    assert all(release.urn in resource.dependencies for resource in kinds)
    assert release.inputs["values"]["crds"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert [r.type for r in program.resources if r.transforms] == ["kubernetes:helm.sh/v4:Chart"], "held_back"


def test_components_wait_for_the_namespaces(program: Program) -> None:
    namespaces = {resource.urn for resource in program.of_type(":NamespacePatch")}
    for resource in program.resources:
        if resource.type.startswith("observability:") and resource.name not in {"observability", "namespaces"}:
            assert namespaces <= resource.dependencies, resource.name


def test_stateful_claims_are_retained(program: Program) -> None:
    for resource in program.of_type(":StatefulSet"):
        policy = resource.inputs["spec"]["persistentVolumeClaimRetentionPolicy"]
        assert policy == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_secrets_are_marked_and_only_in_secrets(program: Program) -> None:
    secret = {resource.name for resource in program.resources if resource.secret}
    assert secret == {resource.name for resource in program.of_type("core/v1:Secret")}
    for resource in program.resources:
        if not resource.type.endswith("core/v1:Secret") and "random" not in resource.type:
            assert "<secret " not in json.dumps(resource.inputs), resource.name


@pytest.mark.parametrize(
    ("component", "dev", "prod"),
    [
        (
            "loki",
            {"ConfigMap": 1, "Service": 2, "ServiceAccount": 1, "ServiceMonitor": 1, "StatefulSet": 1},
            {"PodDisruptionBudget": 1},
        ),
        (
            "loki-gateway",
            {"ConfigMap": 1, "Deployment": 1, "RandomPassword": 2, "Secret": 3, "Service": 1},
            {"PodDisruptionBudget": 1},
        ),
        (
            "promtail",
            {
                "ClusterRole": 1,
                "ClusterRoleBinding": 1,
                "ConfigMap": 1,
                "DaemonSet": 1,
                "PodMonitor": 1,
                "ServiceAccount": 1,
            },
            {},
        ),
        (
            "alertmanager",
            {"Alertmanager": 1, "ConfigMap": 1, "Secret": 2, "Service": 1, "ServiceMonitor": 1},
            {"PodDisruptionBudget": 1},
        ),
        (
            "blackbox-exporter",
            {"ConfigMap": 1, "Deployment": 1, "Probe": 6, "Service": 1, "ServiceMonitor": 1},
            {"Probe": 5},
        ),
        ("kube-prometheus-stack", {"Chart": 1, "ClusterRole": 1, "RandomPassword": 1, "Secret": 1}, {}),
        ("prometheus-operator-crds", {"Release": 1}, {}),
    ],
)
def test_objects(
    program_of: Callable[[str], Program], component: str, dev: dict[str, int], prod: dict[str, int]
) -> None:
    assert by_type(program_of("dev"), component) == Counter(dev)
    assert by_type(program_of("prod"), component) == Counter(dev) + Counter(prod)


def test_existing_dcgm_is_only_scraped(program_of: Callable[[str], Program]) -> None:
    assert by_type(program_of("dev"), "dcgm-exporter") == Counter(
        ConfigMap=1, DaemonSet=1, PodMonitor=1, ServiceAccount=1
    )
    assert by_type(program_of("prod"), "dcgm-exporter") == Counter(ServiceMonitor=1)


def test_alloy_takes_the_place_of_promtail_by_one_word(program_of: Callable[[str], Program]) -> None:
    file = ROOT / "Pulumi.prod.yaml"
    config = stack_config(file) | {"observability:logAgent": {"program": "alloy"}}
    chosen = synthesize("prod", config, secrets={key: placeholder(key) for key in unset_secrets(file, config)})
    assert by_type(chosen, "promtail") == Counter()
    assert by_type(chosen, "alloy") == by_type(program_of("prod"), "promtail")
    spec = chosen.named("alloy-daemon-set").inputs["spec"]["template"]["spec"]
    promtail = program_of("prod").named("promtail-daemon-set").inputs["spec"]["template"]["spec"]
    assert {key for key in spec if spec[key] != promtail[key]} == {"serviceAccountName", "containers", "volumes"}


def test_events_are_watched_and_nothing_else(program_of: Callable[[str], Program]) -> None:
    assert by_type(program_of("dev"), "event-exporter") == Counter()
    assert by_type(program_of("prod"), "event-exporter") == Counter(
        ClusterRole=1, ClusterRoleBinding=1, ConfigMap=1, Deployment=1, PodMonitor=1, ServiceAccount=1
    )
    role = program_of("prod").named("event-exporter-role").inputs["rules"]
    assert role == [{"apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]}]


def test_rule_objects_hold_the_same_as_their_config_maps(program: Program) -> None:
    rules = {r.inputs["metadata"]["name"]: r.inputs["spec"]["groups"] for r in program.of_type(":PrometheusRule")}
    maps = {
        next(iter(r.inputs["data"])).removesuffix(".yaml"): yaml.safe_load(next(iter(r.inputs["data"].values())))
        for r in of_component(program, "alert-rules")
        if r.type.endswith(":ConfigMap") and r.inputs["metadata"]["labels"]["observability/rules"] == "prometheus"
    }
    assert rules
    assert rules == {name: content["groups"] for name, content in maps.items()}


def test_pods_are_rolled_only_by_what_they_cannot_reload(program: Program) -> None:
    rolled = {}
    for resource in program.resources:
        template = (
            resource.inputs.get("spec", {}).get("template") if isinstance(resource.inputs.get("spec"), dict) else None
        )
        if template:
            rolled[resource.name] = set(template["metadata"].get("annotations", {}))
    rolled.pop("dcgm-exporter-daemon-set", None)
    rolled.pop("event-exporter-deployment", None)
    assert rolled.pop("cloudflare-tunnel-deployment", {"checksum/token"}) == {"checksum/token"}
    assert {name: why for name, why in rolled.items() if why} == {
        "loki-stateful-set": {"checksum/config"},
        "loki-gateway-deployment": {"checksum/config"},
        "promtail-daemon-set": {"checksum/config"},
        "blackbox-exporter-deployment": {"checksum/config"},
    }


def test_every_container_has_requests_limits_and_probes(program: Program) -> None:
    for resource in program.resources:
        if resource.type.rsplit(":", 1)[-1] in {"Deployment", "StatefulSet", "DaemonSet"}:
            for container in resource.inputs["spec"]["template"]["spec"]["containers"]:
                assert {"requests", "limits"} <= set(container["resources"]), resource.name
                assert {"readinessProbe", "livenessProbe"} <= set(container), resource.name
                assert container["securityContext"]["readOnlyRootFilesystem"] is True, resource.name
                assert container["securityContext"]["capabilities"]["drop"] == ["ALL"], resource.name


def test_exports(program_of: Callable[[str], Program]) -> None:
    outputs = program_of("dev").outputs["observability"]
    assert set(outputs) == {"namespaces", "addresses", "grafanaSecret", "alerts", "dashboards"}
    assert set(outputs["addresses"]) == {"prometheus", "alertmanager", "loki", "blackbox", "grafana"}
    assert outputs["alerts"]["prometheus"] > 80
