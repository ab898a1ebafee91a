"""The pod of the DCGM exporter: on which nodes it runs, how it gets to the driver, and with which privileges."""

from typing import Any

from components import images, pods
from settings import Settings
from settings.cluster import Distribution
from settings.gpu import GPU_NODE_LABELS, DcgmSettings

PORT = 9400
RUNTIME_CLASS = {Distribution.K3S: "nvidia"}
"""k3s finds the NVIDIA runtime by itself, names it so, and keeps runc as the default."""
DRIVER_PATH = {Distribution.GKE: "/home/kubernetes/bin/nvidia"}
"""GKE has no NVIDIA runtime: its device plugin mounts this folder of the node into pods that ask for a GPU."""
DRIVER_MOUNT = "/usr/local/nvidia"


def node_affinity(dcgm: DcgmSettings) -> dict[str, Any]:
    """Nodes that have any of the labels by which GPU nodes are known: terms are OR-ed."""
    terms = [
        {
            "matchExpressions": [
                {"key": key, "operator": "In", "values": [value]} if value else {"key": key, "operator": "Exists"}
            ]
        }
        for key, value in (*GPU_NODE_LABELS, *dcgm.node_labels.items())
    ]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def pod_spec(app: str, settings: Settings) -> dict[str, Any]:
    """Pod of the DaemonSet, with the counters of the ConfigMap `<app>-counters`."""
    dcgm, distribution = settings.dcgm, settings.cluster.distribution
    driver = DRIVER_PATH.get(distribution, "") if dcgm.driver_path is None else dcgm.driver_path
    runtime = RUNTIME_CLASS.get(distribution, "") if dcgm.runtime_class is None else dcgm.runtime_class
    container: dict[str, Any] = {
        "name": "dcgm-exporter",
        "image": images.reference("dcgm-exporter", settings),
        "args": ["-f", "/etc/dcgm-exporter/observability/counters.csv"],
        "env": [
            {"name": "DCGM_EXPORTER_LISTEN", "value": f":{PORT}"},
            {"name": "DCGM_EXPORTER_KUBERNETES", "value": "true"},
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            # What the NVIDIA runtime brings in: all cards, though the pod asks Kubernetes for none.
            {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
        ],
        "ports": [{"name": "metrics", "containerPort": PORT}],
        "resources": dcgm.resources.manifest(),
        "securityContext": _security(dcgm, privileged=bool(driver)),
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
    volumes: list[dict[str, Any]] = [
        {"name": "counters", "configMap": {"name": f"{app}-counters"}},
        {"name": "pod-resources", "hostPath": {"path": "/var/lib/kubelet/pod-resources"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]
    if dcgm.profiling:
        # The runtime shows MIG instances only to who asks, and only with SYS_ADMIN.
        container["env"].append({"name": "NVIDIA_MIG_MONITOR_DEVICES", "value": "all"})
    if driver:
        container["env"].append({"name": "LD_LIBRARY_PATH", "value": f"{DRIVER_MOUNT}/lib64"})
        container["volumeMounts"].append({"name": "driver", "mountPath": DRIVER_MOUNT, "readOnly": True})
        volumes.append({"name": "driver", "hostPath": {"path": driver, "type": "Directory"}})
    return {
        "serviceAccountName": app,
        "automountServiceAccountToken": False,
        "priorityClassName": pods.NODE_PRIORITY_CLASS,
        **({"runtimeClassName": runtime} if runtime else {}),
        "affinity": node_affinity(dcgm),
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": volumes,
    }


def _security(dcgm: DcgmSettings, *, privileged: bool) -> dict[str, Any]:
    """The least that works. Root: kubelet's socket, which says which pod has which card, is root's."""
    root = {"runAsUser": 0, "runAsNonRoot": False, "readOnlyRootFilesystem": True}
    if privileged:
        # Nothing hands out device files without the NVIDIA runtime; only a privileged pod may open them.
        return {**root, "privileged": True}
    capabilities = {"drop": ["ALL"], **({"add": ["SYS_ADMIN"]} if dcgm.profiling else {})}
    return {**root, "allowPrivilegeEscalation": False, "capabilities": capabilities}
