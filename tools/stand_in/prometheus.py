"""The Prometheus object, from the values `prometheusSpec` that the chart would turn into it."""

from typing import Any

from components import addresses
from components.monitors import GROUP_VERSION
from tools.stand_in.kinds import Object, account, metadata, rule, service, service_monitor
from tools.stand_in.operator import image

APP = "prometheus"
NAME = addresses.PROMETHEUS
PORT_NAME = "http-web"
SELECTED = ("rule", "serviceMonitor", "podMonitor", "probe", "scrapeConfig")
METRICS_PATHS = ["/metrics", "/metrics/cadvisor", "/metrics/probes"]
RIGHTS = [
    rule("core", "nodes nodes/metrics services endpoints pods", "get list watch"),
    rule("discovery.k8s.io", "endpointslices", "get list watch"),
    rule("networking.k8s.io", "ingresses", "get list watch"),
    {"nonResourceURLs": METRICS_PATHS, "verbs": ["get"]},
]
RENAMED = {"storageSpec": "storage", "image": "image", "alertingEndpoints": "alerting"}
"""Values that the object calls differently, or wants in another form. All others have one name in both."""


def objects(values: dict[str, Any], namespace: str) -> list[Object]:
    """Account, Service, Prometheus object and its ServiceMonitor from the chart's values `prometheus`."""
    ports = [
        {"name": PORT_NAME, "port": addresses.PROMETHEUS_PORT, "targetPort": addresses.PROMETHEUS_PORT},
        {"name": "reloader-web", "port": 8080, "targetPort": "reloader-web"},
    ]
    pods = {"app.kubernetes.io/name": APP, "operator.prometheus.io/name": NAME}
    own = metadata(NAME, namespace, APP)
    return [
        *account(NAME, namespace, APP, RIGHTS),
        service(NAME, namespace, APP, {"selector": pods, "ports": ports}),
        {
            "apiVersion": GROUP_VERSION,
            "kind": "Prometheus",
            "metadata": own,
            "spec": spec(values["prometheusSpec"], namespace),
        },
        service_monitor(NAME, namespace, APP, own["labels"], [{"port": PORT_NAME}, {"port": "reloader-web"}]),
    ]


def spec(values: dict[str, Any], namespace: str) -> Object:
    """Spec of the Prometheus object. Everything in all namespaces is selected, as the values say."""
    result: Object = {
        key: value for key, value in values.items() if key not in RENAMED and not key.endswith("NilUsesHelmValues")
    }
    for kind in SELECTED:
        if values[f"{kind}SelectorNilUsesHelmValues"] is False:
            result = {f"{kind}Selector": {}, f"{kind}NamespaceSelector": {}} | result
    return {
        "externalUrl": addresses.service(NAME, namespace, addresses.PROMETHEUS_PORT),
        **result,
        "image": image(values["image"]),
        "version": values["image"]["tag"],
        "alerting": {"alertmanagers": values["alertingEndpoints"]},
        "storage": values["storageSpec"],
        "serviceAccountName": NAME,
        "portName": PORT_NAME,
        "podMetadata": {"labels": metadata(NAME, namespace, APP)["labels"]},
    }
