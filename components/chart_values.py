"""Values of the kube-prometheus-stack chart. They end in plain state: no secret is ever among them."""

from typing import Any

from components import addresses, chart_targets, deletion, grafana_values, images, pods, remote_write
from components.alert_rules import EVALUATOR, HUB
from components.monitors import GROUP
from components.versions import IMAGES
from settings import Settings
from settings.cluster import Distribution

PROMETHEUS_USER = 1000

# Groups of the chart that hold alerts. Ours replace them (rules/overlap.yaml); most of its recording rules stay on.
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
# Recorded for the chart's dashboard of the API server alone, and the dearest of all its rules.
API_SERVER_GROUPS = ("kubeApiserverAvailability", "kubeApiserverBurnrate", "kubeApiserverHistogram")


def values(settings: Settings) -> dict[str, Any]:
    """All values, literal, in the chart's own names."""
    unread = () if settings.grafana.default_dashboards else API_SERVER_GROUPS
    return {
        "crds": {"enabled": False},
        "alertmanager": {"enabled": False},
        "defaultRules": {"rules": dict.fromkeys((*ALERT_GROUPS, *unread), False), "annotations": deletion.AT_ONCE},
        "prometheus": prometheus(settings),
        "prometheusOperator": operator(settings),
        "grafana": grafana_values.grafana(settings),
        **chart_targets.values(settings),
    }


def prometheus(settings: Settings) -> dict[str, Any]:
    """Prometheus: everything selected in all namespaces, alerts to our Alertmanager, `cluster` on every series."""
    chosen, namespace = settings.prometheus, settings.namespaces.main
    cluster = settings.cluster.name
    kinds = ("rule", "serviceMonitor", "podMonitor", "probe", "scrapeConfig")
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
        "storageSpec": {"volumeClaimTemplate": {"spec": pods.claim(chosen.volume_size, chosen.storage_class)}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "securityContext": pods.restricted_pod(PROMETHEUS_USER),
        "priorityClassName": pods.PRIORITY_CLASS,
        "topologySpreadConstraints": pods.spread("prometheus"),
        **{f"{kind}SelectorNilUsesHelmValues": False for kind in kinds},
    }
    if chosen.external_url:
        spec["externalUrl"] = chosen.external_url
    if settings.hub.enabled:
        # Rules of the hub are for the other Prometheus (components/hub.py).
        of_hub = {"key": EVALUATOR, "operator": "NotIn", "values": [HUB]}
        spec["ruleSelector"] = {"matchExpressions": [of_hub]}
    return {
        "service": {"annotations": pods.NO_WAIT},
        "podDisruptionBudget": {"enabled": chosen.replicas > 1},
        "prometheusSpec": spec,
    }


def operator(settings: Settings) -> dict[str, Any]:
    """The operator, without webhooks: their certificates come from Helm hooks, which do not run here."""
    # The local cluster's fake nodes have no kubelet that could be scraped.
    fake = {"kubeletService": {"selector": "type!=kwok"}} if settings.cluster.distribution is Distribution.LOCAL else {}
    # It looks only at its start which kinds there are: so it comes after an object of them, which the API server takes
    # only when it serves its kind, and more kinds start it anew.
    after = f"{GROUP}/namespaces/{settings.namespaces.main}/Prometheus/{addresses.PROMETHEUS}"
    more = {"observability/optional-crds": "-".join(sorted(settings.kube_prometheus_stack.optional_crds))}
    pod = {"podAnnotations": more} if settings.kube_prometheus_stack.optional_crds else {}
    return {
        **fake,
        **pod,
        "annotations": {"config.kubernetes.io/depends-on": after},
        "admissionWebhooks": {"enabled": False},
        "tls": {"enabled": False},
        "image": _image("prometheus-operator", settings),
        "prometheusConfigReloader": {
            "image": _image("prometheus-config-reloader", settings),
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        },
        "service": {"annotations": pods.NO_WAIT},
        "priorityClassName": pods.PRIORITY_CLASS,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
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
