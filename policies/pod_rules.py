"""Rules over the pods of a stack. Exceptions stand here by name with their reason, and nowhere else."""

import re
from collections.abc import Sequence

from policies.kinds import (
    APP,
    OPERATED,
    Object,
    Rule,
    app,
    containers,
    every_container,
    name_of,
    pod_specs,
    template,
    workloads,
)

HOST_AGENTS = {
    "promtail": "reads log files of the host, which are root's",
    "alloy": "reads log files of the host, which are root's",
    "central-logs": "the same, for a hub",
    "prometheus-node-exporter": "reads /proc, /sys and the root of the host",
    "dcgm-exporter": "DCGM's profiling counters need root and SYS_ADMIN",
}
"""Apps that the level `restricted` does not fit."""
WRITABLE_ROOT = {
    "grafana-sc-dashboard": "a sidecar of the chart, whose image is not known to run without",
    "grafana-sc-datasources": "a sidecar of the chart, whose image is not known to run without",
}
WITHOUT_PROBES = {
    "grafana-sc-dashboard": "a sidecar of the chart; Grafana's own probe decides",
    "grafana-sc-datasources": "a sidecar of the chart; Grafana's own probe decides",
}
PINNED = re.compile(r"@sha256:[0-9a-f]{64}$|:v?\d+\.\d+(\.\d+)?[A-Za-z0-9._-]*$")
LATEST = re.compile(r":latest$|^([^@]*/)?[^:/@]*$")


def images_pinned(objects: Sequence[Object]) -> list[str]:
    """Every image has a digest or the tag of a version."""
    images = [(item, str(container.get("image", ""))) for item, container in every_container(objects)]
    images += [(item, str(item["spec"].get("image", ""))) for item in objects if item["kind"] in OPERATED]
    return [f"{name_of(item)}: the image {image} is not pinned" for item, image in images if not PINNED.search(image)]


def no_latest(objects: Sequence[Object]) -> list[str]:
    """No image is called latest, by name or by leaving the tag out."""
    return [
        f"{name_of(item)}: the image {container.get('image')} is latest"
        for item, container in every_container(objects)
        if LATEST.search(str(container.get("image", "")))
    ]


def probes(objects: Sequence[Object]) -> list[str]:
    """Every container of a lasting workload has a readiness or liveness probe."""
    return [
        f"{name_of(item)}: container {container['name']} has no probe"
        for item in workloads(objects)
        if item["kind"] != "Job"
        for container in template(item)["spec"]["containers"]
        if not container.get("readinessProbe") and not container.get("livenessProbe")
        if container["name"] not in WITHOUT_PROBES
    ]


def limits(objects: Sequence[Object]) -> list[str]:
    """Every container requests processor and memory, and has a limit of memory."""
    found = []
    for item, container in every_container(objects):
        resources = container.get("resources") or {}
        requests = set(resources.get("requests") or {})
        if not requests >= {"cpu", "memory"} or "memory" not in (resources.get("limits") or {}):
            found.append(f"{name_of(item)}: container {container['name']} lacks requests or a memory limit")
    return found


def disruption_budgets(objects: Sequence[Object]) -> list[str]:
    """What has more than one replica has a PodDisruptionBudget."""
    budgets = [
        (item["metadata"].get("namespace"), item["spec"]["selector"].get("matchLabels", {}))
        for item in objects
        if item["kind"] == "PodDisruptionBudget"
    ]
    found = []
    for item in objects:
        if item["kind"] in {"Deployment", "StatefulSet"}:
            labels = template(item).get("metadata", {}).get("labels", {})
        elif item["kind"] in OPERATED:
            labels = {
                APP: item["kind"].lower(),
                "operator.prometheus.io/name": item["metadata"]["name"],
                **item["spec"].get("podMetadata", {}).get("labels", {}),
            }
        else:
            continue
        covered = any(
            namespace == item["metadata"].get("namespace") and selector and selector.items() <= labels.items()
            for namespace, selector in budgets
        )
        if int(item["spec"].get("replicas", 1)) > 1 and not covered:
            found.append(f"{name_of(item)}: {item['spec']['replicas']} replicas and no PodDisruptionBudget")
    return found


def priorities(objects: Sequence[Object]) -> list[str]:
    """Every pod has a priority class, so that it is not evicted before what it watches."""
    return [
        f"{name_of(item)}: no priority class" for item, spec in pod_specs(objects) if not spec.get("priorityClassName")
    ]


def spread(objects: Sequence[Object]) -> list[str]:
    """Replicas are spread over nodes."""
    found = []
    for item, spec in pod_specs(objects):
        if int(item["spec"].get("replicas", 1)) < 2:
            continue
        if not spec.get("topologySpreadConstraints") and not (spec.get("affinity") or {}).get("podAntiAffinity"):
            found.append(f"{name_of(item)}: {item['spec']['replicas']} replicas that may all run on one node")
    return found


def tokens(objects: Sequence[Object]) -> list[str]:
    """No pod has a token of an account that it does not name as its own."""
    return [
        f"{name_of(item)}: a token of the namespace's default account is mounted"
        for item, spec in pod_specs(objects)
        if spec.get("automountServiceAccountToken") is not False and not spec.get("serviceAccountName")
    ]


def restricted(objects: Sequence[Object]) -> list[str]:
    """Pods run without root, privileges, capabilities and writable root, but for the agents of the host."""
    found = []
    for item in workloads(objects):
        if app(item) in HOST_AGENTS:
            continue
        pod = template(item)["spec"].get("securityContext") or {}
        for container in containers(item):
            own, name = container.get("securityContext") or {}, container["name"]
            both = {**pod, **own}
            wrong = [
                *([] if both.get("runAsNonRoot") is True else ["runAsNonRoot"]),
                *([] if (both.get("seccompProfile") or {}).get("type") == "RuntimeDefault" else ["seccompProfile"]),
                *([] if own.get("allowPrivilegeEscalation") is False else ["allowPrivilegeEscalation"]),
                *(
                    []
                    if own.get("readOnlyRootFilesystem") is True or name in WRITABLE_ROOT
                    else ["readOnlyRootFilesystem"]
                ),
                *([] if own.get("capabilities") == {"drop": ["ALL"]} else ["capabilities"]),
                *(["privileged"] if own.get("privileged") else []),
            ]
            found += [f"{name_of(item)}: container {name}: {field}" for field in wrong]
    return found


POD_RULES: dict[str, Rule] = {
    "images-pinned": images_pinned,
    "no-latest": no_latest,
    "probes": probes,
    "limits": limits,
    "disruption-budgets": disruption_budgets,
    "priorities": priorities,
    "spread": spread,
    "tokens": tokens,
    "restricted": restricted,
}
