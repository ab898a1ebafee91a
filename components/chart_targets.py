"""What the chart scrapes beside its own parts: state of objects, nodes, and Kubernetes itself."""

from typing import Any

from components import flux_state, images, pods
from components.monitors import NODE_LABEL
from components.running import scraped_parts
from components.versions import IMAGES
from settings import Settings
from settings.cluster import Distribution, Software


def values(settings: Settings) -> dict[str, Any]:
    """These values of the chart, in its own names."""
    return {
        "kubeStateMetrics": {"enabled": True},
        "kube-state-metrics": _kube_state_metrics(settings),
        "nodeExporter": {
            "enabled": True,
            # Its dashboards of other systems would show nothing.
            "operatingSystems": {"aix": {"enabled": False}, "darwin": {"enabled": False}},
        },
        "prometheus-node-exporter": node_exporter(settings),
        **_control_plane(settings),
    }


def node_exporter(settings: Settings) -> dict[str, Any]:
    """node-exporter: it reads the host, hence the privileged namespace."""
    return {
        "namespaceOverride": settings.namespaces.agents,
        "image": {
            "tag": IMAGES["node-exporter"].tag,
            "distroless": False,
            "digest": images.digest("node-exporter", settings),
        },
        "service": {"annotations": pods.NO_WAIT},
        # The chart's own run as nobody with a read-only root; it reads the host, and needs no more.
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containerSecurityContext": pods.RESTRICTED_CONTAINER,
        "priorityClassName": pods.NODE_PRIORITY_CLASS,
        "prometheus": {"monitor": {"relabelings": NODE_LABEL}},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
    }


def _kube_state_metrics(settings: Settings) -> dict[str, Any]:
    return {
        "image": {"tag": IMAGES["kube-state-metrics"].tag, "sha": images.digest("kube-state-metrics", settings)},
        "service": {"annotations": pods.NO_WAIT},
        "priorityClassName": pods.PRIORITY_CLASS,
        # No rule asks for Secrets, so it need not read them.
        "collectorsExclude": ["secrets"],
        # The name of a slice's Service is only in a label of the slice.
        "metricLabelsAllowlist": ["endpointslices=[kubernetes.io/service-name]"],
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "prometheus": {"monitor": {"http": {"interval": settings.prometheus.kube_state_metrics_interval}}},
        **_flux_objects(settings),
    }


def _control_plane(settings: Settings) -> dict[str, Any]:
    """Targets of the control plane: those that the distribution lets one scrape."""
    targets: dict[str, Any] = {name: {"enabled": on} for name, on in scraped_parts(settings).items()}
    # GKE's own DNS has no metrics that the chart's targets could reach; kubeDns stays off everywhere.
    targets["kubeDns"] = {"enabled": False}
    targets["kubeApiServer"] = {"enabled": True}
    targets["kubelet"] = {
        "enabled": True,
        "serviceMonitor": {"cAdvisor": True, "probes": True, "resource": False},
    }
    if settings.cluster.distribution is Distribution.K3S:
        # k3s serves no resource metrics of its own kube-proxy; the kubelet's endpoints carry what there is.
        targets["kubeProxy"] = {"enabled": False}
    return targets


def _flux_objects(settings: Settings) -> dict[str, Any]:
    if Software.FLUX not in settings.cluster.runs or not settings.flux.monitor:
        return {}
    return {
        "customResourceState": {"enabled": True, "config": flux_state.custom_resource_state()},
        "rbac": {"extraRules": flux_state.rules()},
    }
