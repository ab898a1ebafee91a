"""What every pod of ours has in common: labels, security, spread, and when it is rolled."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

PART_OF = "observability"
PRIORITY_CLASS = "observability"
"""Of every pod that is no agent of a node: evicted after the cluster's own applications, never pushing one out."""
NODE_PRIORITY_CLASS = "system-node-critical"
"""Of the agents, which every node has to have."""
NO_WAIT = {"pulumi.com/skipAwait": "true"}
"""Annotation of objects that nothing waits for, Services above all: each awaited one costs ten seconds."""


def labels(app: str) -> dict[str, str]:
    """Labels of an object that belongs to `app`."""
    return {**selector(app), "app.kubernetes.io/part-of": PART_OF, "app.kubernetes.io/managed-by": "pulumi"}


def selector(app: str) -> dict[str, str]:
    """Labels that select the pods of `app`. They never change: selectors are immutable."""
    return {"app.kubernetes.io/name": app}


def metadata(app: str, namespace: str | None = None, name: str | None = None, **annotations: str) -> dict[str, Any]:
    """Metadata of an object of `app`; `name` where it is not called like the app."""
    result: dict[str, Any] = {"name": name or app, "labels": labels(app)}
    if namespace:
        result["namespace"] = namespace
    if annotations:
        result["annotations"] = annotations
    return result


def workload(app: str, pod: Mapping[str, Any], **annotations: Any) -> dict[str, Any]:
    """Selector and pod template of a workload of `app`. Its pods are rolled when one of `annotations` changes."""
    meta: dict[str, Any] = {"labels": labels(app)} | ({"annotations": annotations} if annotations else {})
    return {"selector": {"matchLabels": selector(app)}, "template": {"metadata": meta, "spec": pod}}


def restricted_pod(user: int) -> dict[str, Any]:
    """Pod security context that the `restricted` level accepts, with volumes owned by the user's group."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


RESTRICTED_CONTAINER: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""Container security context of the `restricted` level, and a read-only root on top."""


def spread(app: str) -> list[dict[str, Any]]:
    """Spread of an app's replicas over nodes and zones, as far as the cluster has them."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(app)},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]


def claim(size: str, storage_class: str | None) -> dict[str, Any]:
    """Spec of a volume's claim; without a class the cluster's default counts."""
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return spec | ({"storageClassName": storage_class} if storage_class else {})


def http_probe(path: str, port: str, *, period: int = 10, failures: int = 3) -> dict[str, Any]:
    """An HTTP probe; `period` in seconds."""
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": period, "failureThreshold": failures}


def checksum(content: object) -> str:
    """Short hash for an annotation that rolls pods when what they cannot reload has changed."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
