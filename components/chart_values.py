"""Values of the kube-prometheus-stack chart. They end in plain state: no secret is ever among them."""

from typing import Any

from components import addresses, pods
from components.loki_gateway import CREDENTIALS, USERNAME
from components.monitors import NODE_LABEL
from components.running import scraped_parts
from components.versions import IMAGES
from settings import Settings
from settings.cluster import Distribution

GRAFANA_SECRET = "grafana-admin"  # noqa: S105 (a Secret's name)

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
        "defaultRules": {"rules": dict.fromkeys(ALERT_GROUPS, False)},
        "prometheus": prometheus(settings),
        "prometheusOperator": operator(settings),
        "grafana": grafana(settings),
        "kubeStateMetrics": {"enabled": True},
        "kube-state-metrics": {
            "image": {"tag": IMAGES["kube-state-metrics"].tag},
            "service": NO_WAIT,
            # No rule asks for Secrets, so it need not read them.
            "collectorsExclude": ["secrets"],
            # The name of a slice's Service is only in a label of the slice.
            "metricLabelsAllowlist": ["endpointslices=[kubernetes.io/service-name]"],
            "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        },
        "nodeExporter": {"enabled": True},
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
        "image": _image("prometheus"),
        "replicas": chosen.replicas,
        "retention": chosen.retention,
        "retentionSize": chosen.retention_size,
        "scrapeInterval": chosen.scrape_interval,
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
        "remoteWrite": [{"url": target.url, "name": target.name} for target in chosen.remote_write],
        "resources": chosen.resources.manifest(),
        "storageSpec": {"volumeClaimTemplate": {"spec": claim}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "securityContext": pods.restricted_pod(1000),
        **everything,
    }
    if chosen.external_url:
        spec["externalUrl"] = chosen.external_url
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
        "image": _image("prometheus-operator"),
        "prometheusConfigReloader": {
            "image": _image("prometheus-config-reloader"),
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        },
        "service": NO_WAIT,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
    }


def grafana(settings: Settings) -> dict[str, Any]:
    """Grafana with datasources of fixed uid and dashboards by sidecar label."""
    chosen, namespace = settings.grafana, settings.namespaces.main
    if not chosen.enabled:
        return {"enabled": False, "forceDeployDashboards": False}
    loki = addresses.service(addresses.LOKI_GATEWAY, namespace, addresses.GATEWAY_PORT)
    ini: dict[str, Any] = {
        "analytics": {"reporting_enabled": False, "check_for_updates": False, "check_for_plugin_updates": False},
        "auth.anonymous": {"enabled": False},
        "users": {"allow_sign_up": False},
        # Alerts live in rule files; a second place for them would be a place to forget.
        "unified_alerting": {"enabled": False},
    }
    if chosen.external_url:
        ini["server"] = {"root_url": chosen.external_url}
    return {
        "enabled": True,
        "image": {"tag": IMAGES["grafana"].tag},
        "admin": {"existingSecret": GRAFANA_SECRET, "userKey": "admin-user", "passwordKey": "admin-password"},
        "initChownData": {"enabled": False},
        "containerSecurityContext": {"readOnlyRootFilesystem": True},
        # Sockets of its plugins.
        "extraEmptyDirMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 (a mount path in the pod)
        "defaultDashboardsEnabled": chosen.default_dashboards,
        "defaultDashboardsEditable": False,
        "service": NO_WAIT,
        "resources": chosen.resources.manifest(),
        "grafana.ini": ini,
        # Grafana fills $LOKI_PASSWORD into the datasource file when it reads it.
        "envValueFrom": {"LOKI_PASSWORD": {"secretKeyRef": {"name": CREDENTIALS, "key": "password"}}},
        "sidecar": {
            "image": {"tag": IMAGES["k8s-sidecar"].tag},
            "resources": {"requests": {"cpu": "10m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
            "dashboards": {
                "enabled": True,
                "resource": "configmap",
                "label": "grafana_dashboard",
                "labelValue": "1",
                "folderAnnotation": "grafana_folder",
                "searchNamespace": "ALL",
                "provider": {"foldersFromFilesStructure": True, "allowUiUpdates": False},
            },
            "datasources": {"resource": "configmap", "alertmanager": {"enabled": False}},
        },
        "additionalDataSources": [
            {
                "name": "Loki",
                "type": "loki",
                "uid": "loki",
                "access": "proxy",
                "url": loki,
                "basicAuth": True,
                "basicAuthUser": USERNAME,
                "secureJsonData": {"basicAuthPassword": "$LOKI_PASSWORD"},
                "jsonData": {"timeout": 60, "maxLines": 1000},
                "editable": False,
            },
            {
                "name": "Alertmanager",
                "type": "alertmanager",
                "uid": "alertmanager",
                "access": "proxy",
                "url": addresses.service(addresses.ALERTMANAGER, namespace, addresses.ALERTMANAGER_PORT),
                "jsonData": {"implementation": "prometheus", "handleGrafanaManagedAlerts": False},
                "editable": False,
            },
        ],
    }


def node_exporter(settings: Settings) -> dict[str, Any]:
    """node-exporter: it reads the host, hence the privileged namespace."""
    return {
        "namespaceOverride": settings.namespaces.agents,
        "image": {"tag": IMAGES["node-exporter"].tag, "distroless": False},
        "service": NO_WAIT,
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


def _image(name: str) -> dict[str, str]:
    registry, _, repository = IMAGES[name].repository.partition("/")
    return {"registry": registry, "repository": repository, "tag": IMAGES[name].tag}
