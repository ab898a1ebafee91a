"""kube-state-metrics and node-exporter as the chart's own charts of them set them up."""

from typing import Any

from components import addresses, pods
from components.versions import IMAGES
from tools.stand_in.kinds import Object, account, rule, selector, service, service_monitor, workload

KUBE_STATE_METRICS = "kube-state-metrics"
KUBE_STATE_METRICS_PORT = 8080
NODE_EXPORTER = "prometheus-node-exporter"
NODE_EXPORTER_PORT = 9100
USER = 65534
RIGHTS = [
    rule(
        "core",
        "configmaps limitranges namespaces nodes persistentvolumeclaims persistentvolumes pods replicationcontrollers "
        "resourcequotas services",
        "list watch",
    ),
    rule("apps", "daemonsets deployments replicasets statefulsets", "list watch"),
    rule("batch", "cronjobs jobs", "list watch"),
    rule("autoscaling", "horizontalpodautoscalers", "list watch"),
    rule("policy", "poddisruptionbudgets", "list watch"),
    rule("certificates.k8s.io", "certificatesigningrequests", "list watch"),
    rule("discovery.k8s.io", "endpointslices", "list watch"),
    rule("storage.k8s.io", "storageclasses volumeattachments", "list watch"),
    rule(
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations validatingwebhookconfigurations",
        "list watch",
    ),
    rule("networking.k8s.io", "ingresses networkpolicies", "list watch"),
    rule("coordination.k8s.io", "leases", "list watch"),
]
NAMED = [name for group in RIGHTS for name in group["resources"]]
"""Kinds that kube-state-metrics reads: those that its rights name."""
# The local node's own /var/lib and /var/log lie on the machine's disk, which is there as / already.
UNWANTED_MOUNTS = (
    r"^/(var/(lib|log)|dev|proc|sys|run/containerd/.+|var/lib/(docker|containerd)/.+|var/lib/kubelet/.+)($|/)"
)
UNWANTED_KINDS = r"^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs|tmpfs)$"  # noqa: E501 (one expression)


def kube_state_metrics(values: dict[str, Any], namespace: str) -> list[Object]:
    """kube-state-metrics from the chart's values `kube-state-metrics`; object labels win over the target's."""
    name = f"{addresses.CHART}-{KUBE_STATE_METRICS}"
    image = f"{IMAGES[KUBE_STATE_METRICS].repository}:{values['image']['tag']}"
    pod = {
        "serviceAccountName": name,
        "securityContext": pods.restricted_pod(USER),
        "containers": [
            {
                "name": KUBE_STATE_METRICS,
                "image": image,
                "args": [
                    f"--port={KUBE_STATE_METRICS_PORT}",
                    f"--resources={','.join(sorted(NAMED))}",
                    f"--metric-labels-allowlist={','.join(values['metricLabelsAllowlist'])}",
                ],
                "ports": [
                    {"name": "http", "containerPort": KUBE_STATE_METRICS_PORT},
                    {"name": "telemetry", "containerPort": KUBE_STATE_METRICS_PORT + 1},
                ],
                "resources": values["resources"],
                "securityContext": pods.RESTRICTED_CONTAINER,
                "readinessProbe": pods.http_probe("/readyz", "telemetry", period=5),
                "livenessProbe": pods.http_probe("/livez", "http"),
            }
        ],
    }
    ports = [{"name": "http", "port": KUBE_STATE_METRICS_PORT, "targetPort": "http"}]
    return [
        *account(name, namespace, KUBE_STATE_METRICS, RIGHTS),
        service(name, namespace, KUBE_STATE_METRICS, {"selector": selector(KUBE_STATE_METRICS), "ports": ports}),
        workload("Deployment", name, namespace, KUBE_STATE_METRICS, pod, replicas=1),
        service_monitor(
            name,
            namespace,
            KUBE_STATE_METRICS,
            selector(KUBE_STATE_METRICS),
            [{"port": "http", "honorLabels": True, **values["prometheus"]["monitor"]["http"]}],
            jobLabel="app.kubernetes.io/name",
        ),
    ]


def node_exporter(values: dict[str, Any]) -> list[Object]:
    """node-exporter on every Linux node from the chart's values `prometheus-node-exporter`."""
    name, namespace = f"{addresses.CHART}-{NODE_EXPORTER}", values["namespaceOverride"]
    job = {"jobLabel": "node-exporter"}
    host = {"proc": "/proc", "sys": "/sys", "root": "/"}
    mounts = [
        {"name": folder, "mountPath": f"/host/{folder}", "readOnly": True}
        | ({"mountPropagation": "HostToContainer"} if folder != "proc" else {})
        for folder in host
    ]
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": pods.restricted_pod(USER),
        "hostNetwork": True,
        "hostPID": True,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"effect": "NoSchedule", "operator": "Exists"}],
        "containers": [
            {
                "name": "node-exporter",
                "image": f"{IMAGES['node-exporter'].repository}:{values['image']['tag']}",
                "args": [
                    "--path.procfs=/host/proc",
                    "--path.sysfs=/host/sys",
                    "--path.rootfs=/host/root",
                    "--path.udev.data=/host/root/run/udev/data",
                    f"--web.listen-address=:{NODE_EXPORTER_PORT}",
                    f"--collector.filesystem.mount-points-exclude={UNWANTED_MOUNTS}",
                    f"--collector.filesystem.fs-types-exclude={UNWANTED_KINDS}",
                ],
                "ports": [{"name": "http-metrics", "containerPort": NODE_EXPORTER_PORT}],
                "resources": values["resources"],
                "securityContext": values["containerSecurityContext"],
                "readinessProbe": pods.http_probe("/", "http-metrics", period=5),
                "livenessProbe": pods.http_probe("/", "http-metrics"),
                "volumeMounts": mounts,
            }
        ],
        "volumes": [{"name": folder, "hostPath": {"path": path}} for folder, path in host.items()],
    }
    ports = [{"name": "http-metrics", "port": NODE_EXPORTER_PORT, "targetPort": "http-metrics"}]
    own = selector(NODE_EXPORTER)
    endpoint = {"port": "http-metrics", "relabelings": values["prometheus"]["monitor"]["relabelings"]}
    return [
        service(name, namespace, NODE_EXPORTER, {"clusterIP": "None", "selector": own, "ports": ports}, **job),
        workload("DaemonSet", name, namespace, NODE_EXPORTER, pod),
        service_monitor(name, namespace, NODE_EXPORTER, own, [endpoint], jobLabel="jobLabel"),
    ]
