"""The hub: a Prometheus that other clusters write to.

It is apart from the cluster's own Prometheus, whose rules must not see series of other clusters: they would alert once
more about each of them, under the wrong name. Its only rules are those of rules/prometheus/hub.yaml.
"""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import addresses, images, pods
from components.alert_rules import EVALUATOR, HUB
from components.chart_values import PROMETHEUS_USER
from components.monitors import monitoring_object
from components.versions import IMAGES
from settings import Settings

APP = addresses.HUB


def spec(settings: Settings) -> dict[str, Any]:
    """Spec of the Prometheus object."""
    hub = settings.hub
    claim: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": hub.volume_size}}}
    if hub.storage_class:
        claim["storageClassName"] = hub.storage_class
    return {
        "image": images.reference("prometheus", settings),
        "version": IMAGES["prometheus"].tag,
        "replicas": 1,
        "retention": hub.retention,
        "retentionSize": hub.retention_size,
        "enableRemoteWriteReceiver": True,
        # What a spoke could not send for a while comes late, and beside the newer samples of another shard.
        "tsdb": {"outOfOrderTimeWindow": "2h"},
        "evaluationInterval": "30s",
        "ruleSelector": {"matchLabels": {EVALUATOR: HUB}},
        # It scrapes nothing: no monitor has the label. Without a selector the operator writes no configuration at all.
        "serviceMonitorSelector": {"matchLabels": {EVALUATOR: HUB}},
        "ruleNamespaceSelector": {},
        "alerting": {
            "alertmanagers": [
                {
                    "name": addresses.ALERTMANAGER,
                    "namespace": settings.namespaces.main,
                    "port": "http-web",
                    "apiVersion": "v2",
                }
            ]
        },
        "resources": hub.resources.manifest(),
        "storage": {"volumeClaimTemplate": {"metadata": {"name": "data"}, "spec": claim}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "securityContext": pods.restricted_pod(PROMETHEUS_USER),
        "priorityClassName": pods.PRIORITY_CLASS,
        # The account of the cluster's own: Alertmanager's addresses come from the API server.
        "serviceAccountName": addresses.PROMETHEUS,
        # As the cluster's own: a long replay must not be cut off.
        "containers": [{"name": "prometheus", "startupProbe": {"periodSeconds": 5, "failureThreshold": 720}}],
    }


class Hub(pulumi.ComponentResource):
    """The Prometheus object, the Service that other clusters are led to, and its monitor."""

    def __init__(
        self, name: str, *, settings: Settings, crds: pulumi.Resource, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("observability:index:Hub", name, {}, opts)
        namespace = settings.namespaces.main
        monitoring_object(f"{name}-prometheus", "Prometheus", pods.metadata(APP, namespace), spec(settings), self, crds)
        # The operator's label: the pods are called `prometheus` like those of the cluster's own, and so are governed by
        # the same policies.
        k8s.core.v1.Service(
            f"{name}-service",
            metadata=pods.metadata(APP, namespace, **{"pulumi.com/skipAwait": "true"}),
            spec={
                "selector": {"app.kubernetes.io/instance": APP, "app.kubernetes.io/name": "prometheus"},
                "ports": [{"name": "http-web", "port": addresses.PROMETHEUS_PORT, "targetPort": "web"}],
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        monitoring_object(
            f"{name}-monitor",
            "ServiceMonitor",
            pods.metadata(APP, namespace),
            {
                "jobLabel": "app.kubernetes.io/name",
                "selector": {"matchLabels": pods.selector(APP)},
                "endpoints": [{"port": "http-web"}],
            },
            self,
            crds,
        )
        self.register_outputs({})
