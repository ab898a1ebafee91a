"""Rules over the Kubernetes objects of a stack. Plain functions: each gives one sentence a violation.

Exceptions stand here by name with their reason, and nowhere else.
"""

import re
from collections.abc import Sequence

from policies.kinds import APP, OPERATED, WORKLOADS, Object, Rule, name_of
from policies.pod_rules import POD_RULES

CONSENT = "observability/public-because"
"""Annotation by which a Service says why it may be reached from outside the cluster."""

WILDCARDS = {"kube-prometheus-stack-operator": "the operator makes StatefulSets, Secrets and more by whole API groups"}
SECRET_READERS = {
    "kube-prometheus-stack-operator": "it reads and writes the configuration Secrets of its objects",
}
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


RULES: dict[str, Rule] = {
    **POD_RULES,
    "no-secret-in-config-map": no_secret_in_config_map,
    "data-retained": data_retained,
    "labelled": labelled,
    "not-public": not_public,
    "narrow-roles": narrow_roles,
}
"""Every rule of the pack by its name."""
