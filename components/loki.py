"""Loki as one StatefulSet: a single pod on a claim, or replicas on object storage."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import addresses, loki_config, pods
from components.monitors import service_monitor
from components.versions import IMAGES
from settings import Settings
from settings.base import amount
from settings.logs import S3, Azure

APP = addresses.LOKI
USER = 10001


def credentials(settings: Settings) -> dict[str, str]:
    """Environment variable of each storage credential, and the key of the stack file that holds it."""
    match settings.loki.storage:
        case S3(access_key_id_secret=str(key), secret_access_key_secret=str(secret)):
            return {"S3_ACCESS_KEY_ID": key, "S3_SECRET_ACCESS_KEY": secret}
        case Azure(account_key_secret=str(key)):
            return {"AZURE_ACCOUNT_KEY": key}
        case _:
            return {}


def pod_spec(settings: Settings, rule_config_maps: Sequence[str]) -> dict[str, Any]:
    """Pod of the StatefulSet. Rules are mounted per tenant: at the root, `..data` would become a tenant."""
    loki = settings.loki
    env: list[dict[str, Any]] = [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        # The garbage collector works harder near the limit instead of being killed at it.
        {"name": "GOMEMLIMIT", "value": str(int(amount(loki.resources.memory_limit) * 0.9))},
    ]
    env += [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": f"{APP}-storage", "key": name}}}
        for name in credentials(settings)
    ]
    rules = [{"configMap": {"name": name, "optional": True}} for name in rule_config_maps]
    return {
        "serviceAccountName": APP,
        # Only a cloud identity needs a token of the cluster.
        "automountServiceAccountToken": bool(loki.service_account_annotations),
        "securityContext": pods.restricted_pod(USER),
        "terminationGracePeriodSeconds": loki_config.GRACE_SECONDS,
        "topologySpreadConstraints": pods.spread(APP),
        "containers": [
            {
                "name": "loki",
                "image": IMAGES["loki"].reference,
                "args": [
                    "-config.file=/etc/loki/config/config.yaml",
                    "-config.expand-env=true",
                    "-target=all",
                ],
                "env": env,
                "ports": [
                    {"name": "http-metrics", "containerPort": addresses.LOKI_PORT},
                    {"name": "grpc", "containerPort": loki_config.GRPC_PORT},
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
                    {"name": "rules", "mountPath": f"{loki_config.RULES_FOLDER}/{loki.tenant}"},
                    {"name": "data", "mountPath": "/loki"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (a mount path in the pod)
                ],
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": f"{APP}-config"}},
            {"name": "rules", "projected": {"sources": rules}},
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
        wanted = credentials(settings)
        if wanted:
            k8s.core.v1.Secret(
                f"{name}-storage",
                metadata=pods.metadata(APP, namespace, f"{APP}-storage"),
                string_data={env: secrets[key] for env, key in wanted.items()},
                opts=child,
            )
        ports = [{"name": "http-metrics", "port": addresses.LOKI_PORT, "targetPort": "http-metrics"}]
        inner = [
            {"name": "grpc", "port": loki_config.GRPC_PORT, "targetPort": "grpc"},
            {"name": "gossip", "port": loki_config.GOSSIP_PORT, "targetPort": "gossip"},
        ]
        # Nothing waits for the Services: each awaited one costs ten seconds.
        no_wait = {"pulumi.com/skipAwait": "true"}
        k8s.core.v1.Service(
            f"{name}-service",
            metadata=pods.metadata(APP, namespace, **no_wait),
            spec={"selector": pods.selector(APP), "ports": ports},
            opts=child,
        )
        headless = f"{APP}-headless"
        k8s.core.v1.Service(
            f"{name}-headless",
            metadata=pods.metadata(APP, namespace, headless, **no_wait),
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
                "selector": {"matchLabels": pods.selector(APP)},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
                "template": {
                    "metadata": {
                        "labels": pods.labels(APP),
                        # Loki cannot reload its configuration. Rules it reads again by itself.
                        "annotations": {"checksum/config": pods.checksum(content)},
                    },
                    "spec": pod_spec(settings, rule_config_maps),
                },
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": "data"},
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {"requests": {"storage": loki.volume_size}},
                        }
                        | ({"storageClassName": loki.storage_class} if loki.storage_class else {}),
                    }
                ],
            },
            opts=child,
        )
        if loki.replicas > 1:
            k8s.policy.v1.PodDisruptionBudget(
                f"{name}-disruption-budget",
                metadata=meta,
                spec={"maxUnavailable": 1, "selector": {"matchLabels": pods.selector(APP)}},
                opts=child,
            )
        service_monitor(f"{name}-monitor", APP, namespace, "http-metrics", self, crds)
        self.register_outputs({})
