"""Alertmanager under the operator."""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import addresses, alertmanager_config, images, messages, pods, receiver_kinds, silences
from components.disruption_budget import disruption_budget
from components.monitors import monitoring_object, service_monitor
from components.versions import IMAGES
from settings import Settings
from settings.base import seconds
from settings.reader import secret_keys

APP = addresses.ALERTMANAGER
CONFIG_SECRET = f"{APP}-config"
TEMPLATES = f"{APP}-templates"
TEMPLATES_FOLDER = f"/etc/alertmanager/configmaps/{TEMPLATES}"
USER = 1000


def spec(settings: Settings) -> dict[str, object]:
    """Spec of the Alertmanager object."""
    alertmanager = settings.alertmanager
    claim = pods.claim(alertmanager.volume_size, alertmanager.storage_class)
    return {
        "replicas": alertmanager.replicas,
        "image": images.reference("alertmanager", settings),
        "version": IMAGES["alertmanager"].tag,
        "configSecret": CONFIG_SECRET,
        "configMaps": [TEMPLATES],
        "secrets": [receiver_kinds.SECRET] if secret_keys(alertmanager) else [],
        # Our own headless Service is the governing one, so that pods have names that others can be given.
        "serviceName": APP,
        # The operator's API knows no days.
        "retention": f"{seconds(alertmanager.retention)}s",
        "externalUrl": alertmanager.external_url
        or addresses.service(APP, settings.namespaces.main, addresses.ALERTMANAGER_PORT),
        "storage": {"volumeClaimTemplate": {"metadata": {"name": "data"}, "spec": claim}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "resources": alertmanager.resources.manifest(),
        "podMetadata": {"labels": pods.labels(APP)},
        "securityContext": pods.restricted_pod(USER),
        "automountServiceAccountToken": False,
        "priorityClassName": pods.PRIORITY_CLASS,
        "topologySpreadConstraints": pods.spread(APP),
    }


class Alertmanager(pulumi.ComponentResource):
    """Alertmanager object, its configuration and credentials as Secrets, its templates, headless Service, PDB."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        secrets: Mapping[str, pulumi.Output[str]],
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:Alertmanager", name, {}, opts)
        namespace = settings.namespaces.main
        child = pulumi.ResourceOptions(parent=self)
        content = alertmanager_config.config(settings) | {"templates": [f"{TEMPLATES_FOLDER}/*.tmpl"]}
        k8s.core.v1.Secret(
            f"{name}-config",
            metadata=pods.metadata(APP, namespace, CONFIG_SECRET),
            string_data={"alertmanager.yaml": yaml.safe_dump(content, sort_keys=False)},
            opts=child,
        )
        keys = secret_keys(settings.alertmanager)
        if keys:
            k8s.core.v1.Secret(
                f"{name}-credentials",
                metadata=pods.metadata(APP, namespace, receiver_kinds.SECRET),
                string_data={key: secrets[key] for key in keys},
                opts=child,
            )
        k8s.core.v1.ConfigMap(
            f"{name}-templates",
            metadata=pods.metadata(APP, namespace, TEMPLATES),
            data=messages.templates(settings),
            opts=child,
        )
        k8s.core.v1.Service(
            f"{name}-service",
            metadata=pods.metadata(APP, namespace, **pods.NO_WAIT),
            spec={
                "clusterIP": "None",
                # Peers must find each other before they are ready.
                "publishNotReadyAddresses": True,
                "selector": pods.selector(APP),
                "ports": [
                    {"name": "http-web", "port": addresses.ALERTMANAGER_PORT, "targetPort": "web"},
                    {"name": "mesh-tcp", "port": addresses.MESH_PORT, "targetPort": "mesh-tcp"},
                    {"name": "mesh-udp", "port": addresses.MESH_PORT, "targetPort": "mesh-udp", "protocol": "UDP"},
                ],
            },
            opts=child,
        )
        monitoring_object(
            f"{name}-alertmanager", "Alertmanager", pods.metadata(APP, namespace), spec(settings), self, crds
        )
        disruption_budget(name, APP, namespace, settings.alertmanager.replicas, self)
        service_monitor(f"{name}-monitor", APP, namespace, "http-web", self, crds)
        if settings.alertmanager.silences is not None:
            silences.job(f"{name}-silences", settings, self)
        self.register_outputs({})
