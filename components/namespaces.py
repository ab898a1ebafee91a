"""The two namespaces of the stack."""

import pulumi
import pulumi_kubernetes as k8s

from components import pods
from settings.cluster import NamespacesSettings


def namespace_labels(level: str) -> dict[str, str]:
    """Labels of a namespace whose pods must meet the Pod Security level. No Istio: it would need itself to start."""
    return {
        "app.kubernetes.io/part-of": pods.PART_OF,
        "pod-security.kubernetes.io/enforce": level,
        "pod-security.kubernetes.io/warn": level,
        "pod-security.kubernetes.io/audit": level,
        "istio-injection": "disabled",
    }


class Namespaces(pulumi.ComponentResource):
    """Namespaces that outlive `destroy` and are adopted by the next `up`.

    They are patches: a patch creates what is missing and takes over what is there, where a plain Namespace would
    fail on one that exists.
    """

    def __init__(self, name: str, *, settings: NamespacesSettings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("observability:index:Namespaces", name, {}, opts)
        for role, namespace, level in (
            ("main", settings.main, "restricted"),
            ("agents", settings.agents, "privileged"),
        ):
            k8s.core.v1.NamespacePatch(
                f"{name}-{role}",
                metadata={
                    "name": namespace,
                    "labels": namespace_labels(level),
                    "annotations": {
                        "kustomize.toolkit.fluxcd.io/prune": "disabled",
                        "argocd.argoproj.io/sync-options": "Prune=false",
                        "pulumi.com/patchForce": "true",
                    },
                },
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )
        self.register_outputs({"main": settings.main, "agents": settings.agents})
