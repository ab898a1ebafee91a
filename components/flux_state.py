"""State of Flux's objects by kube-state-metrics: `gotk_resource_info`. Flux's controllers do not export it any more."""

from typing import Any

RECONCILED = {"ready": ["status", "conditions", "[type=Ready]", "status"], "suspended": ["spec", "suspend"]}
OF_SOURCE = {"revision": ["status", "artifact", "revision"], "url": ["spec", "url"]}
KINDS: dict[tuple[str, str, str], dict[str, list[str]]] = {
    ("kustomize.toolkit.fluxcd.io", "v1", "Kustomization"): {
        "revision": ["status", "lastAppliedRevision"],
        "source_name": ["spec", "sourceRef", "name"],
    },
    ("helm.toolkit.fluxcd.io", "v2", "HelmRelease"): {
        "revision": ["status", "history", "0", "chartVersion"],
        "chart_name": ["status", "history", "0", "chartName"],
        "source_name": ["spec", "chart", "spec", "sourceRef", "name"],
    },
    ("source.toolkit.fluxcd.io", "v1", "GitRepository"): OF_SOURCE,
    ("source.toolkit.fluxcd.io", "v1", "HelmRepository"): OF_SOURCE,
    ("source.toolkit.fluxcd.io", "v1", "OCIRepository"): OF_SOURCE,
    ("source.toolkit.fluxcd.io", "v1", "Bucket"): OF_SOURCE,
    ("source.toolkit.fluxcd.io", "v1", "HelmChart"): {
        "revision": ["status", "artifact", "revision"],
        "chart_name": ["spec", "chart"],
        "source_name": ["spec", "sourceRef", "name"],
    },
}
"""Group, version and kind, and the labels of its own with their paths in the object. All kinds have RECONCILED."""


def custom_resource_state() -> dict[str, Any]:
    """Configuration of kube-state-metrics. A kind that the cluster does not have is left out by it."""
    return {
        "kind": "CustomResourceStateMetrics",
        "spec": {"resources": [_resource(*known, labels) for known, labels in KINDS.items()]},
    }


def rules() -> list[dict[str, Any]]:
    """What kube-state-metrics must be allowed to read for it. The chart lets it find the kinds."""
    groups = sorted({group for group, _, _ in KINDS})
    plurals = {group: sorted(_plural(kind) for other, _, kind in KINDS if other == group) for group in groups}
    return [{"apiGroups": [group], "resources": plurals[group], "verbs": ["list", "watch"]} for group in groups]


def _resource(group: str, version: str, kind: str, labels: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "groupVersionKind": {"group": group, "version": version, "kind": kind},
        "metricNamePrefix": "gotk",
        "metrics": [
            {
                "name": "resource_info",
                "help": f"State of a {kind} of Flux",
                "each": {"type": "Info", "info": {"labelsFromPath": {"name": ["metadata", "name"]}}},
                "labelsFromPath": {"exported_namespace": ["metadata", "namespace"], **RECONCILED, **labels},
            }
        ],
    }


def _plural(kind: str) -> str:
    lower = kind.lower()
    return f"{lower[:-1]}ies" if lower.endswith("y") else f"{lower}s"
