"""What the chart scrapes of Kubernetes itself: kubelet with cAdvisor and probes, API server, CoreDNS."""

from typing import Any

from components import addresses
from tools.stand_in.kinds import Object, service, service_monitor
from tools.stand_in.operator import KUBELET_SERVICE

APP = addresses.CHART
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 (a folder)
CA = f"{TOKEN}/ca.crt"
COREDNS_PORT = 9153
# cAdvisor has series of the pause container and of cgroups that are no container; they only cost.
DROPPED_OF_CADVISOR = [
    {
        "sourceLabels": ["__name__"],
        "action": "drop",
        "regex": "container_cpu_(cfs_throttled_seconds_total|load_average_10s|system_seconds_total|user_seconds_total)",
    },
    {
        "sourceLabels": ["__name__"],
        "action": "drop",
        "regex": "container_(file_descriptors|tasks_state|threads_max|memory_failures_total|memory_mapped_file)",
    },
    {"sourceLabels": ["id", "pod"], "action": "drop", "regex": ".+;"},
]


def objects(values: dict[str, Any], namespace: str) -> list[Object]:
    """Services and ServiceMonitors from the chart's values of the control plane's parts."""
    result = [kubelet(namespace), api_server(namespace)]
    return result + (coredns(namespace) if values["coreDns"]["enabled"] else [])


def kubelet(namespace: str) -> Object:
    """Three paths of every kubelet, told apart by `metrics_path`. The operator makes the Service."""
    path = {"action": "replace", "sourceLabels": ["__metrics_path__"], "targetLabel": "metrics_path"}
    common = {
        "port": "https-metrics",
        "scheme": "https",
        "tlsConfig": {"caFile": CA, "insecureSkipVerify": True},
        "bearerTokenFile": f"{TOKEN}/token",
        "honorLabels": True,
        "relabelings": [path],
    }
    endpoints = [
        common,
        {**common, "path": "/metrics/cadvisor", "honorTimestamps": True, "metricRelabelings": DROPPED_OF_CADVISOR},
        {**common, "path": "/metrics/probes"},
    ]
    selected = {"app.kubernetes.io/name": "kubelet", "k8s-app": "kubelet"}
    places = {"matchNames": ["kube-system"]}
    return service_monitor(
        KUBELET_SERVICE, namespace, APP, selected, endpoints, jobLabel="k8s-app", namespaceSelector=places
    )


def api_server(namespace: str) -> Object:
    """The API server, by the Service that it makes itself."""
    endpoint = {
        "port": "https",
        "scheme": "https",
        "tlsConfig": {"caFile": CA, "serverName": "kubernetes", "insecureSkipVerify": False},
        "bearerTokenFile": f"{TOKEN}/token",
        "metricRelabelings": [
            {
                "sourceLabels": ["__name__"],
                "action": "drop",
                "regex": "(etcd_request|apiserver_request_slo|apiserver_request_body_size).+_bucket",
            }
        ],
    }
    selected = {"component": "apiserver", "provider": "kubernetes"}
    return service_monitor(
        f"{addresses.CHART}-apiserver",
        namespace,
        APP,
        selected,
        [endpoint],
        jobLabel="component",
        namespaceSelector={"matchNames": ["default"]},
    )


def coredns(namespace: str) -> list[Object]:
    """CoreDNS by a Service of our own, since the cluster's own need not have its metrics port."""
    name, app = f"{addresses.CHART}-coredns", f"{addresses.CHART}-coredns"
    ports = [{"name": "http-metrics", "port": COREDNS_PORT, "targetPort": COREDNS_PORT}]
    own = service(
        name,
        "kube-system",
        app,
        {"clusterIP": "None", "selector": {"k8s-app": "kube-dns"}, "ports": ports},
        jobLabel="coredns",
    )
    places = {"matchNames": ["kube-system"]}
    endpoint = {"port": "http-metrics"}
    return [
        own,
        service_monitor(
            name,
            namespace,
            app,
            {"app.kubernetes.io/name": app},
            [endpoint],
            jobLabel="jobLabel",
            namespaceSelector=places,
        ),
    ]
