"""The operator as the chart runs it: without webhooks and TLS, watching every namespace."""

from typing import Any

from components import addresses, pods
from tools.stand_in.kinds import Object, account, metadata, rule, selector, service, service_monitor, workload

APP = f"{addresses.CHART}-prometheus-operator"
NAME = f"{addresses.CHART}-operator"
KUBELET_SERVICE = f"{addresses.CHART}-kubelet"
USER = 65534
PORT = 8080
KINDS = (
    "alertmanagers alertmanagerconfigs prometheuses prometheusagents thanosrulers "
    "scrapeconfigs servicemonitors podmonitors probes prometheusrules"
)
RIGHTS = [
    rule("monitoring.coreos.com", KINDS, "*"),
    rule("monitoring.coreos.com", " ".join(f"{kind}/status {kind}/finalizers" for kind in KINDS.split()), "*"),
    rule("apps", "statefulsets", "*"),
    rule("core", "configmaps secrets", "*"),
    rule("core", "pods", "list delete"),
    rule("core", "services services/finalizers endpoints", "get create update delete"),
    rule("core", "nodes", "list watch"),
    rule("core", "namespaces", "get list watch"),
    rule("core events.k8s.io", "events", "patch create"),
    rule("networking.k8s.io", "ingresses", "get list watch"),
    rule("storage.k8s.io", "storageclasses", "get"),
    rule("discovery.k8s.io", "endpointslices", "get list watch create update delete"),
]


def objects(values: dict[str, Any], namespace: str) -> list[Object]:
    """Account, Deployment, Service and ServiceMonitor from the chart's values `prometheusOperator`."""
    pod = {
        "serviceAccountName": NAME,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "kube-prometheus-stack",
                "image": image(values["image"]),
                "args": arguments(values),
                "ports": [{"name": "http", "containerPort": PORT}],
                "resources": values["resources"],
                "securityContext": pods.RESTRICTED_CONTAINER,
                "readinessProbe": pods.http_probe("/healthz", "http", period=5),
                "livenessProbe": pods.http_probe("/healthz", "http"),
            }
        ],
    }
    ports = [{"name": "http", "port": PORT, "targetPort": "http"}]
    return [
        *account(NAME, namespace, APP, RIGHTS),
        service(NAME, namespace, APP, {"selector": selector(APP), "ports": ports}),
        workload("Deployment", NAME, namespace, APP, pod, replicas=1),
        service_monitor(
            NAME, namespace, APP, metadata(NAME, namespace, APP)["labels"], [{"port": "http", "honorLabels": True}]
        ),
    ]


def arguments(values: dict[str, Any]) -> list[str]:
    """Command line of the operator."""
    reloader = values["prometheusConfigReloader"]
    # What is not set is 0, as the chart writes it: the operator's own default would throttle.
    limits = [
        f"--config-reloader-{what}-{kind.removesuffix('s')}={reloader['resources'].get(kind, {}).get(what, 0)}"
        for kind in ("requests", "limits")
        for what in ("cpu", "memory")
    ]
    nodes = values.get("kubeletService", {}).get("selector")
    return [
        f"--kubelet-service=kube-system/{KUBELET_SERVICE}",
        *([f"--kubelet-selector={nodes}"] if nodes else []),
        "--kubelet-endpoints=true",
        "--kubelet-endpointslice=false",
        f"--prometheus-config-reloader={image(reloader['image'])}",
        *limits,
        f"--web.listen-address=:{PORT}",
        "--web.enable-tls=false",
    ]


def image(values: dict[str, str]) -> str:
    """Reference of an image from the chart's three values."""
    return f"{values['registry']}/{values['repository']}:{values['tag']}"
