"""A MinIO of the stack's own, as Loki's object storage where a cluster has none."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components import addresses, images, loki_storage, pods
from components.loki_storage import MINIO_BUCKET
from components.monitors import service_monitor
from settings import Settings
from settings.logs import MinIO

APP = addresses.MINIO
USER = 1000
ACCESS_KEY = "loki"
METRICS = "/minio/v2/metrics/cluster"


def pod_spec(settings: Settings, storage: MinIO) -> dict[str, Any]:
    """Pod of the StatefulSet."""
    keys = zip(("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"), loki_storage.S3_KEYS, strict=True)
    env: list[dict[str, Any]] = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": loki_storage.SECRET, "key": key}}} for name, key in keys
    ]
    # Metrics hold no secret, and a token of MinIO's own would have to be made by hand.
    env += [{"name": "MINIO_PROMETHEUS_AUTH_TYPE", "value": "public"}, {"name": "MINIO_BROWSER", "value": "off"}]
    return {
        "automountServiceAccountToken": False,
        "priorityClassName": pods.PRIORITY_CLASS,
        "securityContext": pods.restricted_pod(USER),
        "containers": [
            {
                "name": "minio",
                "image": images.reference("minio", settings),
                "command": ["/usr/bin/minio"],
                "args": ["server", "/data", f"--address=:{addresses.MINIO_PORT}", "--certs-dir=/tmp/certs"],
                "env": env,
                "ports": [{"name": "http", "containerPort": addresses.MINIO_PORT}],
                "resources": storage.resources.manifest(),
                "securityContext": pods.RESTRICTED_CONTAINER,
                "readinessProbe": pods.http_probe("/minio/health/ready", "http", period=5),
                "livenessProbe": pods.http_probe("/minio/health/live", "http"),
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    # A folder of the volume is a bucket. Kubelet makes it for this mount, so that nothing else has to.
                    {
                        "name": "data",
                        "mountPath": f"/buckets/{MINIO_BUCKET}",
                        "subPath": MINIO_BUCKET,
                    },
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (a mount path in the pod)
                ],
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
    }


class Minio(pulumi.ComponentResource):
    """One MinIO with one bucket. Its claim holds every line: what it loses is lost."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        storage: MinIO,
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:Minio", name, {}, opts)
        namespace = settings.namespaces.main
        child = pulumi.ResourceOptions(parent=self)
        password = random.RandomPassword(f"{name}-password", length=40, special=False, opts=child)
        k8s.core.v1.Secret(
            f"{name}-storage",
            metadata=pods.metadata(APP, namespace, loki_storage.SECRET),
            string_data=dict(zip(loki_storage.S3_KEYS, (ACCESS_KEY, password.result), strict=True)),
            opts=child,
        )
        k8s.core.v1.Service(
            f"{name}-service",
            metadata=pods.metadata(APP, namespace, **pods.NO_WAIT),
            spec={
                "selector": pods.selector(APP),
                "ports": [{"name": "http", "port": addresses.MINIO_PORT, "targetPort": "http"}],
            },
            opts=child,
        )
        claim = pods.claim(storage.volume_size, settings.loki.storage_class)
        k8s.apps.v1.StatefulSet(
            f"{name}-stateful-set",
            metadata=pods.metadata(APP, namespace),
            spec={
                "serviceName": APP,
                "replicas": 1,
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
                **pods.workload(APP, pod_spec(settings, storage)),
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
            },
            opts=child,
        )
        service_monitor(f"{name}-monitor", APP, namespace, "http", self, crds, path=METRICS)
        self.register_outputs({})
