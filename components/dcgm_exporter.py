"""DCGM exporter on GPU nodes: deployed by us, or one that a GPU Operator already runs."""

from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import pods
from components.monitors import NODE_LABEL, monitoring_object
from components.versions import IMAGES
from settings import Settings
from settings.gpu import GPU_NODE_LABELS, DcgmSettings

APP = "dcgm-exporter"
PORT = 9400
COUNTERS = Path(__file__).parent / "dcgm_counters.csv"


def node_affinity() -> dict[str, Any]:
    """Nodes that have any of the labels by which GPU nodes are known: terms are OR-ed."""
    terms = [
        {
            "matchExpressions": [
                {"key": key, "operator": "In", "values": [value]} if value else {"key": key, "operator": "Exists"}
            ]
        }
        for key, value in GPU_NODE_LABELS
    ]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def pod_spec(dcgm: DcgmSettings) -> dict[str, Any]:
    """Pod of the DaemonSet. The profiling counters need SYS_ADMIN; hence the privileged namespace."""
    spec: dict[str, Any] = {
        "serviceAccountName": APP,
        "automountServiceAccountToken": False,
        "affinity": node_affinity(),
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "dcgm-exporter",
                "image": IMAGES["dcgm-exporter"].reference,
                "args": ["-f", "/etc/dcgm-exporter/observability/counters.csv"],
                "env": [
                    {"name": "DCGM_EXPORTER_LISTEN", "value": f":{PORT}"},
                    {"name": "DCGM_EXPORTER_KUBERNETES", "value": "true"},
                    {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                ],
                "ports": [{"name": "metrics", "containerPort": PORT}],
                "resources": dcgm.resources.manifest(),
                "securityContext": {
                    "runAsUser": 0,
                    "runAsNonRoot": False,
                    "allowPrivilegeEscalation": True,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
                },
                "readinessProbe": pods.http_probe("/health", "metrics"),
                "livenessProbe": pods.http_probe("/health", "metrics", failures=6),
                # DCGM starts its host engine first; on nodes with eight cards this takes a while.
                "startupProbe": pods.http_probe("/health", "metrics", failures=30),
                "volumeMounts": [
                    {"name": "counters", "mountPath": "/etc/dcgm-exporter/observability", "readOnly": True},
                    {"name": "pod-resources", "mountPath": "/var/lib/kubelet/pod-resources", "readOnly": True},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (a mount path in the pod)
                ],
            }
        ],
        "volumes": [
            {"name": "counters", "configMap": {"name": f"{APP}-counters"}},
            {"name": "pod-resources", "hostPath": {"path": "/var/lib/kubelet/pod-resources"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }
    return spec | ({"runtimeClassName": dcgm.runtime_class} if dcgm.runtime_class else {})


class DcgmExporter(pulumi.ComponentResource):
    """The exporter with its own counters file, or only the monitor of an existing one."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:DcgmExporter", name, {}, opts)
        dcgm, namespace = settings.dcgm, settings.namespaces.agents
        deployed = dcgm.mode == "deploy"
        if deployed:
            self._deploy(name, dcgm, namespace)
        endpoint = {"interval": dcgm.interval, "relabelings": NODE_LABEL}
        if deployed:
            monitor = {
                "selector": {"matchLabels": pods.selector(APP)},
                "jobLabel": "app.kubernetes.io/name",
                "podMetricsEndpoints": [{"port": "metrics", **endpoint}],
            }
        else:
            monitor = {
                "namespaceSelector": {"matchNames": [dcgm.existing_namespace]},
                "selector": {"matchLabels": dcgm.existing_labels},
                "endpoints": [
                    # The operator's Service names its port gpu-metrics; `job` is set so that rules find it.
                    {
                        "port": "gpu-metrics",
                        **endpoint,
                        "relabelings": [*NODE_LABEL, {"targetLabel": "job", "replacement": APP}],
                    }
                ],
            }
        kind = "PodMonitor" if deployed else "ServiceMonitor"
        monitoring_object(f"{name}-monitor", kind, pods.metadata(APP, namespace), monitor, self, crds)
        self.register_outputs({})

    def _deploy(self, name: str, dcgm: DcgmSettings, namespace: str) -> None:
        child = pulumi.ResourceOptions(parent=self)
        meta = pods.metadata(APP, namespace)
        counters = COUNTERS.read_text(encoding="utf-8")
        k8s.core.v1.ServiceAccount(f"{name}-account", metadata=meta, opts=child)
        k8s.core.v1.ConfigMap(
            f"{name}-counters",
            metadata=pods.metadata(APP, namespace, f"{APP}-counters"),
            data={"counters.csv": counters},
            opts=child,
        )
        k8s.apps.v1.DaemonSet(
            f"{name}-daemon-set",
            metadata=pods.metadata(APP, namespace, **{"pulumi.com/skipAwait": "true"}),
            spec={
                "selector": {"matchLabels": pods.selector(APP)},
                "template": {
                    "metadata": {
                        "labels": pods.labels(APP),
                        "annotations": {"checksum/counters": pods.checksum(counters)},
                    },
                    "spec": pod_spec(dcgm),
                },
            },
            opts=child,
        )
