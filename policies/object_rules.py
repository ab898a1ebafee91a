"""Rules over the Kubernetes objects of a stack. Plain functions: each gives one sentence a violation.

Exceptions stand here by name with their reason, and nowhere else.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]
Rule = Callable[[Sequence[Object]], list[str]]

WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job"}
OPERATED = {"Prometheus", "Alertmanager"}
APP = "app.kubernetes.io/name"
CONSENT = "observability/public-because"
"""Annotation by which a Service says why it may be reached from outside the cluster."""

HOST_AGENTS = {
    "promtail": "reads log files of the host, which are root's",
    "alloy": "reads log files of the host, which are root's",
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
WILDCARDS = {"kube-prometheus-stack-operator": "the operator makes StatefulSets, Secrets and more by whole API groups"}
SECRET_READERS = {
    "kube-prometheus-stack-operator": "it reads and writes the configuration Secrets of its objects",
    "kube-prometheus-stack-grafana-clusterrole": "the chart's role of the dashboard sidecar names Secrets in any case",
}
PINNED = re.compile(r"@sha256:[0-9a-f]{64}$|:v?\d+\.\d+(\.\d+)?[A-Za-z0-9._-]*$")
LATEST = re.compile(r":latest$|^([^@]*/)?[^:/@]*$")
SECRETS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a Slack webhook": re.compile(r"hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/\w{8,}"),
    "a Telegram token": re.compile(r"\b\d{8,10}:[A-Za-z0-9_-]{35}\b"),
    "an AWS key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    "credentials in a URL": re.compile(r"://[^/\s:@${}\"']+:[^/\s:@${}\"']+@"),
    "a password": re.compile(
        r"(?im)^\s*\"?(password|secret_?key|api_?key|token)\"?\s*[:=]\s*['\"]?(?![$<{'\"\s])\S{8,}"
    ),
}


def name_of(item: Object) -> str:
    """Kind and name, as messages say it."""
    return f"{item['kind']}/{item['metadata']['name']}"


def _pod(item: Object) -> Object:
    template: Object = item["spec"]["template"]
    return template


def _app(item: Object) -> str:
    return str(_pod(item).get("metadata", {}).get("labels", {}).get(APP, item["metadata"]["name"]))


def _workloads(objects: Sequence[Object]) -> list[Object]:
    return [item for item in objects if item["kind"] in WORKLOADS]


def _containers(item: Object) -> list[Object]:
    spec = _pod(item)["spec"]
    return [*(spec.get("initContainers") or []), *spec["containers"]]


def _every_container(objects: Sequence[Object]) -> Iterator[tuple[Object, Object]]:
    for item in _workloads(objects):
        for container in _containers(item):
            yield item, container


def images_pinned(objects: Sequence[Object]) -> list[str]:
    """Every image has a digest or the tag of a version."""
    images = [(item, str(container.get("image", ""))) for item, container in _every_container(objects)]
    images += [(item, str(item["spec"].get("image", ""))) for item in objects if item["kind"] in OPERATED]
    return [f"{name_of(item)}: the image {image} is not pinned" for item, image in images if not PINNED.search(image)]


def no_latest(objects: Sequence[Object]) -> list[str]:
    """No image is called latest, by name or by leaving the tag out."""
    return [
        f"{name_of(item)}: the image {container.get('image')} is latest"
        for item, container in _every_container(objects)
        if LATEST.search(str(container.get("image", "")))
    ]


def probes(objects: Sequence[Object]) -> list[str]:
    """Every container of a lasting workload has a readiness or liveness probe."""
    return [
        f"{name_of(item)}: container {container['name']} has no probe"
        for item in _workloads(objects)
        if item["kind"] != "Job"
        for container in _pod(item)["spec"]["containers"]
        if not container.get("readinessProbe") and not container.get("livenessProbe")
        if container["name"] not in WITHOUT_PROBES
    ]


def limits(objects: Sequence[Object]) -> list[str]:
    """Every container requests processor and memory, and has a limit of memory."""
    found = []
    for item, container in _every_container(objects):
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
            labels = _pod(item).get("metadata", {}).get("labels", {})
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


def no_secret_in_config_map(objects: Sequence[Object]) -> list[str]:
    """No ConfigMap holds what looks like a secret."""
    return [
        f"{name_of(item)}: {key} holds {what}"
        for item in objects
        if item["kind"] == "ConfigMap"
        for key, text in (item.get("data") or {}).items()
        for what, pattern in SECRETS.items()
        if pattern.search(str(text))
    ]


def data_retained(objects: Sequence[Object]) -> list[str]:
    """Claims outlive their workload, and GitOps does not prune namespaces."""
    keep = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    found = [
        f"{name_of(item)}: its claims are not retained"
        for item in objects
        if (item["kind"] == "StatefulSet" and item["spec"].get("volumeClaimTemplates")) or item["kind"] in OPERATED
        if item["spec"].get("persistentVolumeClaimRetentionPolicy") != keep
    ]
    for item in objects:
        notes = item["metadata"].get("annotations") or {}
        if item["kind"] == "Namespace" and notes.get("kustomize.toolkit.fluxcd.io/prune") != "disabled":
            found.append(f"{name_of(item)}: GitOps may prune it, and all data with it")
    return found


def labelled(objects: Sequence[Object]) -> list[str]:
    """Every workload and Service says what it is by app.kubernetes.io/name or the chart's own label app."""
    return [
        f"{name_of(item)}: no label {APP}"
        for item in objects
        if item["kind"] in WORKLOADS | {"Service"} | OPERATED
        if not {APP, "app"} & set(item["metadata"].get("labels") or {})
    ]


def not_public(objects: Sequence[Object]) -> list[str]:
    """No Service is reachable from outside the cluster, unless an annotation says why."""
    return [
        f"{name_of(item)}: type {item['spec']['type']} without the annotation {CONSENT}"
        for item in objects
        if item["kind"] == "Service" and item["spec"].get("type") in {"LoadBalancer", "NodePort"}
        if not (item["metadata"].get("annotations") or {}).get(CONSENT)
    ]


def narrow_roles(objects: Sequence[Object]) -> list[str]:
    """No role has a wildcard, and none reads Secrets."""
    found = []
    for item in objects:
        if item["kind"] not in {"Role", "ClusterRole"}:
            continue
        name = item["metadata"]["name"]
        for rule in item.get("rules") or []:
            parts = [rule.get(key) or [] for key in ("apiGroups", "resources", "verbs", "nonResourceURLs")]
            if name not in WILDCARDS and any("*" in part for part in parts):
                found.append(f"{name_of(item)}: wildcard in {dict(rule)}")
            if name not in SECRET_READERS and "secrets" in parts[1] and {"get", "list", "watch", "*"} & set(parts[2]):
                found.append(f"{name_of(item)}: reads Secrets")
    return found


def restricted(objects: Sequence[Object]) -> list[str]:
    """Pods run without root, privileges, capabilities and writable root, but for the agents of the host."""
    found = []
    for item in _workloads(objects):
        if _app(item) in HOST_AGENTS:
            continue
        pod = _pod(item)["spec"].get("securityContext") or {}
        for container in _containers(item):
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


RULES: dict[str, Rule] = {
    "images-pinned": images_pinned,
    "no-latest": no_latest,
    "probes": probes,
    "limits": limits,
    "disruption-budgets": disruption_budgets,
    "no-secret-in-config-map": no_secret_in_config_map,
    "data-retained": data_retained,
    "labelled": labelled,
    "not-public": not_public,
    "narrow-roles": narrow_roles,
    "restricted": restricted,
}
