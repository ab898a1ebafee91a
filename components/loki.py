"""Loki as one StatefulSet: a single pod on a claim, or replicas on object storage."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import addresses, images, loki_config, loki_storage, pods
from components.disruption_budget import disruption_budget
from components.monitors import service_monitor
from settings import Settings
from settings.base import amount

APP = addresses.LOKI
USER = 10001


def rules_volume(rule_config_maps: Sequence[str]) -> dict[str, Any]:
    """All rule files as one volume."""
    sources = [{"configMap": {"name": name, "optional": True}} for name in rule_config_maps]
    return {"name": "rules", "projected": {"sources": sources}}


def rules_mount(settings: Settings) -> dict[str, str]:
    """Where the ruler looks for them. Per tenant: at the root, `..data` would become a tenant."""
    return {"name": "rules", "mountPath": f"{loki_config.RULES_FOLDER}/{settings.loki.tenant}"}


def pod_spec(settings: Settings, rule_config_maps: Sequence[str]) -> dict[str, Any]:
    """Pod of the StatefulSet."""
    loki = settings.loki
    env: list[dict[str, Any]] = [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        # The garbage collector works harder near the limit instead of being killed at it.
        {"name": "GOMEMLIMIT", "value": str(int(amount(loki.resources.memory_limit) * 0.9))},
        *loki_storage.env(settings),
    ]
    return {
        "serviceAccountName": APP,
        "priorityClassName": pods.PRIORITY_CLASS,
        # Only a cloud identity needs a token of the cluster.
        "automountServiceAccountToken": bool(loki.service_account_annotations),
        "securityContext": pods.restricted_pod(USER),
        "terminationGracePeriodSeconds": loki_config.GRACE_SECONDS,
        "topologySpreadConstraints": pods.spread(APP),
        "containers": [
            {
                "name": "loki",
                "image": images.reference("loki", settings),
                "args": [
                    "-config.file=/etc/loki/config/config.yaml",
                    "-config.expand-env=true",
                    "-target=all",
                ],
                "env": env,
                "ports": [
                    {"name": "http-metrics", "containerPort": addresses.LOKI_PORT},
                    {"name": "grpc", "containerPort": addresses.LOKI_GRPC_PORT},
                    {"name": "gossip", "containerPort": loki_config.GOSSIP_PORT},
                ],
                "resources": loki.resources.manifest(),
                "securityContext": pods.RESTRICTED_CONTAINER,
                "readinessProbe": pods.http_probe("/ready", "http-metrics", period=5),
                # Not /ready: it fails during WAL replay, and a restart would only begin it anew.
                "livenessProbe": pods.http_probe("/loki/api/v1/status/buildinfo", "http-metrics"),
                "startupProbe": pods.http_probe(
                    "/loki/api/v1/status/buildinfo", "http-metrics", period=2, failures=150
                ),
                "volumeMounts": [
                    {"name": "config", "mountPath": "/etc/loki/config"},
                    rules_mount(settings),
                    {"name": "data", "mountPath": "/loki"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (a mount path in the pod)
                ],
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": f"{APP}-config"}},
            rules_volume(rule_config_maps),
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        ],
    }


class Loki(pulumi.ComponentResource):
    """Loki with its ruler. Nothing but the gateway is meant to talk to it from outside."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        rule_config_maps: Sequence[str],
        secrets: Mapping[str, pulumi.Output[str]],
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:Loki", name, {}, opts)
        loki, namespace = settings.loki, settings.namespaces.main
        child = pulumi.ResourceOptions(parent=self)
        meta = pods.metadata(APP, namespace)
        content = yaml.safe_dump(loki_config.config(settings), sort_keys=False)

        account = {**meta, "annotations": loki.service_account_annotations}
        k8s.core.v1.ServiceAccount(f"{name}-account", metadata=account, opts=child)
        k8s.core.v1.ConfigMap(
            f"{name}-config",
            metadata=pods.metadata(APP, namespace, f"{APP}-config"),
            data={"config.yaml": content},
            opts=child,
        )
        rolled_by = loki_storage.secret(name, settings, secrets, self)
        ports = [{"name": "http-metrics", "port": addresses.LOKI_PORT, "targetPort": "http-metrics"}]
        inner = [
            {"name": "grpc", "port": addresses.LOKI_GRPC_PORT, "targetPort": "grpc"},
            {"name": "gossip", "port": loki_config.GOSSIP_PORT, "targetPort": "gossip"},
        ]
        k8s.core.v1.Service(
            f"{name}-service",
            metadata=pods.metadata(APP, namespace, **pods.NO_WAIT),
            spec={"selector": pods.selector(APP), "ports": ports},
            opts=child,
        )
        headless = f"{APP}-headless"
        k8s.core.v1.Service(
            f"{name}-headless",
            metadata=pods.metadata(APP, namespace, headless, **pods.NO_WAIT),
            spec={
                "clusterIP": "None",
                # Peers must find each other before they are ready.
                "publishNotReadyAddresses": True,
                "selector": pods.selector(APP),
                "ports": inner,
            },
            opts=child,
        )
        k8s.apps.v1.StatefulSet(
            f"{name}-stateful-set",
            metadata=meta,
            spec={
                "serviceName": headless,
                "replicas": loki.replicas,
                "podManagementPolicy": "Parallel",
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
                # Loki cannot reload its configuration, nor its environment. Rules it reads again by itself.
                **pods.workload(
                    APP,
                    pod_spec(settings, rule_config_maps),
                    **{"checksum/config": pods.checksum(content), **rolled_by},
                ),
                "volumeClaimTemplates": [
                    {"metadata": {"name": "data"}, "spec": pods.claim(loki.volume_size, loki.storage_class)}
                ],
            },
            opts=child,
        )
        disruption_budget(name, APP, namespace, loki.replicas, self)
        service_monitor(f"{name}-monitor", APP, namespace, "http-metrics", self, crds)
        self.register_outputs({})
