"""In-cluster names and addresses that more than one component needs. Literals, so that previews stay complete."""

from settings import Settings

CHART = "kube-prometheus-stack"
PROMETHEUS = f"{CHART}-prometheus"
"""Name of the chart's Prometheus object and Service."""
GRAFANA = f"{CHART}-grafana"
ALERTMANAGER = "alertmanager"
BLACKBOX = "blackbox-exporter"
HUB = "hub-prometheus"
"""The Prometheus that other clusters write to. Its name makes the alerts on every Prometheus hold for it as well."""
LOKI = "loki"
LOKI_GATEWAY = "loki-gateway"
MINIO = "minio"

ALERTMANAGER_PORT = 9093
MESH_PORT = 9094
"""Of Alertmanager, between its replicas: TCP and UDP."""
BLACKBOX_PORT = 9115
GATEWAY_PORT = 8080
GRAFANA_PORT = 80
LOKI_PORT = 3100
LOKI_GRPC_PORT = 9095
MINIO_PORT = 9000
PROMETHEUS_PORT = 9090


def service(name: str, namespace: str, port: int) -> str:
    """URL of a Service."""
    return f"http://{name}.{namespace}.svc.cluster.local:{port}"


def loki_part(part: str, settings: Settings) -> str:
    """URL of a part of Loki, such as `distributor`; of the one Service where all parts are one program."""
    name = f"{LOKI}-{part}" if settings.loki.distributed else LOKI
    return service(name, settings.namespaces.main, LOKI_PORT)


def alertmanager_replicas(settings: Settings) -> list[str]:
    """URL of every Alertmanager pod: a load balancer before them would break their deduplication."""
    return [
        f"http://{ALERTMANAGER}-{ALERTMANAGER}-{index}.{ALERTMANAGER}.{settings.namespaces.main}"
        f".svc.cluster.local:{ALERTMANAGER_PORT}"
        for index in range(settings.alertmanager.replicas)
    ]


def prometheus_replicas(settings: Settings) -> list[str]:
    """URL of every Prometheus pod, for writers that must reach each replica. The operator makes their Service."""
    return [
        f"http://prometheus-{PROMETHEUS}-{index}.prometheus-operated.{settings.namespaces.main}"
        f".svc.cluster.local:{PROMETHEUS_PORT}"
        for index in range(settings.prometheus.replicas)
    ]


def addresses(settings: Settings) -> dict[str, str]:
    """URL of every service that people open, by name."""
    namespace = settings.namespaces.main
    urls = {
        "prometheus": service(PROMETHEUS, namespace, PROMETHEUS_PORT),
        "alertmanager": service(ALERTMANAGER, namespace, ALERTMANAGER_PORT),
        "loki": service(LOKI_GATEWAY, namespace, GATEWAY_PORT),
        "blackbox": service(BLACKBOX, namespace, BLACKBOX_PORT),
    }
    return urls | ({"grafana": service(GRAFANA, namespace, GRAFANA_PORT)} if settings.grafana.enabled else {})
