"""Blackbox exporter and the Probe objects of the stack file."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import addresses, images, pods
from components.blackbox_config import CREDENTIALS, CREDENTIALS_FOLDER, config, own_probes, probe_spec, username_key
from components.monitors import monitoring_object, service_monitor
from settings import Settings
from settings.probes import Probe, Target
from settings.reader import secret_keys

APP = addresses.BLACKBOX
USER = 65534


def targets(settings: Settings) -> Iterator[tuple[str, str, Probe, Target]]:
    """Every target: name of its Probe object, key of its probe, the probe, the target.

    A service that a probe names more than once has the address in its objects' names.
    """
    for key, probe in {**own_probes(settings), **settings.blackbox.probes}.items():
        times = Counter(target.service for target in probe.targets)
        for target in probe.targets:
            more = f"-{pods.checksum(target.address)[:6]}" if times[target.service] > 1 else ""
            yield f"{key}-{target.service}{more}", key, probe, target


def pod_spec(settings: Settings) -> dict[str, Any]:
    """Pod of the Deployment."""
    volumes: list[dict[str, object]] = [{"name": "config", "configMap": {"name": f"{APP}-config"}}]
    mounts: list[dict[str, object]] = [{"name": "config", "mountPath": "/etc/blackbox_exporter"}]
    if logins := [key for module in settings.blackbox.modules.values() for key in secret_keys(module)]:
        items = [{"key": key, "path": key} for key in logins]
        volumes.append({"name": "credentials", "secret": {"secretName": CREDENTIALS, "items": items}})
        mounts.append({"name": "credentials", "mountPath": CREDENTIALS_FOLDER, "readOnly": True})
    return {
        "automountServiceAccountToken": False,
        "priorityClassName": pods.PRIORITY_CLASS,
        # ping sockets for the exporter's group, so that icmp needs no capability.
        "securityContext": {
            **pods.restricted_pod(USER),
            "sysctls": [{"name": "net.ipv4.ping_group_range", "value": f"{USER} {USER}"}],
        },
        "containers": [
            {
                "name": "blackbox-exporter",
                "image": images.reference("blackbox-exporter", settings),
                "args": ["--config.file=/etc/blackbox_exporter/config.yml"],
                "ports": [{"name": "http", "containerPort": addresses.BLACKBOX_PORT}],
                "resources": settings.blackbox.resources.manifest(),
                "securityContext": pods.RESTRICTED_CONTAINER,
                "readinessProbe": pods.http_probe("/-/healthy", "http", period=5),
                "livenessProbe": pods.http_probe("/-/healthy", "http"),
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }


class BlackboxExporter(pulumi.ComponentResource):
    """The exporter, its modules, and a Probe object for each service."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        secrets: Mapping[str, pulumi.Output[str]],
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:BlackboxExporter", name, {}, opts)
        namespace = settings.namespaces.main
        child = pulumi.ResourceOptions(parent=self)
        content = yaml.safe_dump(config(settings.blackbox), sort_keys=False)
        k8s.core.v1.ConfigMap(
            f"{name}-config",
            metadata=pods.metadata(APP, namespace, f"{APP}-config"),
            data={"config.yml": content},
            opts=child,
        )
        keys = secret_keys(settings.blackbox)
        if keys:
            users = {username_key(key): p.prober_username for key, p in settings.blackbox.probes.items()}
            k8s.core.v1.Secret(
                f"{name}-credentials",
                metadata=pods.metadata(APP, namespace, CREDENTIALS),
                string_data={key: secrets[key] for key in keys} | {key: user for key, user in users.items() if user},
                opts=child,
            )
        k8s.core.v1.Service(
            f"{name}-service",
            metadata=pods.metadata(APP, namespace, **pods.NO_WAIT),
            spec={
                "selector": pods.selector(APP),
                "ports": [{"name": "http", "port": addresses.BLACKBOX_PORT, "targetPort": "http"}],
            },
            opts=child,
        )
        k8s.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=pods.metadata(APP, namespace),
            spec={
                "replicas": 1,
                **pods.workload(APP, pod_spec(settings), **{"checksum/config": pods.checksum(content)}),
            },
            opts=child,
        )
        for object_name, key, probe, target in targets(settings):
            monitoring_object(
                f"{name}-probe-{object_name}",
                "Probe",
                pods.metadata(APP, namespace, object_name),
                probe_spec(key, probe, target, settings),
                self,
                crds,
            )
        service_monitor(f"{name}-monitor", APP, namespace, "http", self, crds)
        self.register_outputs({})
