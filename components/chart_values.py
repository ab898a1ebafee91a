"""Values of the kube-prometheus-stack chart. They end in plain state: no secret is ever among them."""

from typing import Any

from components import addresses, deletion, flux_state, grafana_values, images, pods, remote_write
from components.alert_rules import EVALUATOR, HUB
from components.monitors import NODE_LABEL
from components.running import scraped_parts
from components.versions import IMAGES
from settings import Settings
from settings.cluster import Distribution, Software

PROMETHEUS_USER = 1000

# Groups of the chart that hold alerts. Ours replace them (rules/overlap.yaml); its recording rules stay on.
ALERT_GROUPS = (
    "alertmanager",
    "configReloaders",
    "etcd",
    "general",
    "kubeApiserverSlos",
    "kubeControllerManager",
    "kubeProxy",
    "kubeSchedulerAlerting",
    "kubeStateMetrics",
    "kubernetesApps",
    "kubernetesResources",
    "kubernetesStorage",
    "kubernetesSystem",
    "network",
    "nodeExporterAlerting",
    "prometheus",
    "prometheusOperator",
    "windows",
)

# Nothing waits for the Services: each awaited one costs ten seconds.
NO_WAIT = {"annotations": {"pulumi.com/skipAwait": "true"}}


def values(settings: Settings) -> dict[str, Any]:
    """All values, literal, in the chart's own names."""
    return {
        "crds": {"enabled": False},
        "alertmanager": {"enabled": False},
        "defaultRules": {"rules": dict.fromkeys(ALERT_GROUPS, False), "annotations": deletion.AT_ONCE},
        "prometheus": prometheus(settings),
        "prometheusOperator": operator(settings),
        "grafana": grafana_values.grafana(settings),
        "kubeStateMetrics": {"enabled": True},
        "kube-state-metrics": {
            "image": {"tag": IMAGES["kube-state-metrics"].tag, "sha": images.digest("kube-state-metrics", settings)},
            "service": NO_WAIT,
            "priorityClassName": pods.PRIORITY_CLASS,
            # No rule asks for Secrets, so it need not read them.
            "collectorsExclude": ["secrets"],
            # The name of a slice's Service is only in a label of the slice.
            "metricLabelsAllowlist": ["endpointslices=[kubernetes.io/service-name]"],
            "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
            "prometheus": {"monitor": {"http": {"interval": settings.prometheus.kube_state_metrics_interval}}},
            **_flux_objects(settings),
        },
        # Its dashboards of other systems would show nothing.
        "nodeExporter": {
            "enabled": True,
            "operatingSystems": {"aix": {"enabled": False}, "darwin": {"enabled": False}},
        },
        "prometheus-node-exporter": node_exporter(settings),
        **control_plane(settings),
    }


def prometheus(settings: Settings) -> dict[str, Any]:
    """Prometheus: everything selected in all namespaces, alerts to our Alertmanager, `cluster` on every series."""
    chosen, namespace = settings.prometheus, settings.namespaces.main
    cluster = settings.cluster.name
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": chosen.volume_size}}}
    if chosen.storage_class:
        claim["storageClassName"] = chosen.storage_class
    everything = dict.fromkeys(
        [
            f"{kind}SelectorNilUsesHelmValues"
            for kind in ("rule", "serviceMonitor", "podMonitor", "probe", "scrapeConfig")
        ],
        False,
    )
    spec: dict[str, Any] = {
        "image": _image("prometheus", settings),
        "replicas": chosen.replicas,
        "retention": chosen.retention,
        "retentionSize": chosen.retention_size,
        "scrapeInterval": chosen.scrape_interval,
        # Of rules that name none: those of the chart, and those of others on the cluster.
        "evaluationInterval": "30s",
        "externalLabels": {**chosen.external_labels, "cluster": cluster},
        # External labels are not on local series; dashboards and rules need the cluster there as well.
        "scrapeClasses": [
            {"name": "cluster", "default": True, "relabelings": [{"targetLabel": "cluster", "replacement": cluster}]}
        ],
        # The chart's Alertmanager is off; without this list no alert would ever leave.
        "alertingEndpoints": [
            {"name": addresses.ALERTMANAGER, "namespace": namespace, "port": "http-web", "apiVersion": "v2"}
        ],
        # With the default of 1m a dead Prometheus would keep its Watchdog alive for four minutes.
        "additionalArgs": [{"name": "rules.alert.resend-delay", "value": "15s"}],
        "enableRemoteWriteReceiver": True,
        # Replaying a long WAL is slow; the operator's default would kill it after 15 minutes, to begin anew. Its own
        # setting for that asks but once a minute, and until then no request comes in: hence a probe of ours, one hour.
        "containers": [{"name": "prometheus", "startupProbe": {"periodSeconds": 5, "failureThreshold": 720}}],
        "remoteWrite": remote_write.specs(settings),
        "resources": chosen.resources.manifest(),
        "storageSpec": {"volumeClaimTemplate": {"spec": claim}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "securityContext": pods.restricted_pod(PROMETHEUS_USER),
        "priorityClassName": pods.PRIORITY_CLASS,
        "topologySpreadConstraints": pods.spread("prometheus"),
        **everything,
    }
    if chosen.external_url:
        spec["externalUrl"] = chosen.external_url
    if settings.hub.enabled:
        # Rules of the hub are for the other Prometheus (components/hub.py).
        of_hub = {"key": EVALUATOR, "operator": "NotIn", "values": [HUB]}
        spec["ruleSelector"] = {"matchExpressions": [of_hub]}
    return {
        "service": NO_WAIT,
        "podDisruptionBudget": {"enabled": chosen.replicas > 1},
        "prometheusSpec": spec,
    }


def operator(settings: Settings) -> dict[str, Any]:
    """The operator, without webhooks: their certificates come from Helm hooks, which do not run here."""
    # The local cluster's fake nodes have no kubelet that could be scraped.
    fake = {"kubeletService": {"selector": "type!=kwok"}} if settings.cluster.distribution is Distribution.LOCAL else {}
    return {
        **fake,
        "admissionWebhooks": {"enabled": False},
        "tls": {"enabled": False},
        "image": _image("prometheus-operator", settings),
        "prometheusConfigReloader": {
            "image": _image("prometheus-config-reloader", settings),
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        },
        "service": NO_WAIT,
        "priorityClassName": pods.PRIORITY_CLASS,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
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
        "service": NO_WAIT,
        # The chart's own run as nobody with a read-only root; it reads the host, and needs no more.
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containerSecurityContext": pods.RESTRICTED_CONTAINER,
        "priorityClassName": pods.NODE_PRIORITY_CLASS,
        "prometheus": {"monitor": {"relabelings": NODE_LABEL}},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
    }


def control_plane(settings: Settings) -> dict[str, Any]:
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


def _image(name: str, settings: Settings) -> dict[str, str]:
    registry, _, repository = IMAGES[name].repository.partition("/")
    return {
        "registry": registry,
        "repository": repository,
        "tag": IMAGES[name].tag,
        # Not of every chart: kube-state-metrics' and node-exporter's want the whole digest.
        "sha": images.sha(name, settings),
    }
