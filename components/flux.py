"""Flux: its controllers are scraped, and on demand it tells our receivers by itself."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s

from components import pods
from components.monitors import NODE_LABEL, monitoring_object
from components.receiver_kinds import OPSGENIE
from settings import Settings, SettingsError
from settings.channels import Discord, MsTeams, Opsgenie, Slack, Telegram, Webhook
from settings.cluster import Software

APP = "flux"
NAMESPACE = "flux-system"
CONTROLLERS = (
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
    "image-reflector-controller",
    "image-automation-controller",
)
NOTIFICATION_API = "notification.toolkit.fluxcd.io/v1beta3"
SOURCES = ("GitRepository", "OCIRepository", "HelmRepository", "HelmChart", "Bucket", "Kustomization", "HelmRelease")
WHERE = "observability:flux.notifications"


def monitor() -> dict[str, Any]:
    """PodMonitor of the controllers; pods of a finished rollout have no answer to give."""
    running = {"sourceLabels": ["__meta_kubernetes_pod_phase"], "action": "keep", "regex": "Running"}
    return {
        "namespaceSelector": {"matchNames": [NAMESPACE]},
        "selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": list(CONTROLLERS)}]},
        "podMetricsEndpoints": [{"port": "http-prom", "relabelings": [running, *NODE_LABEL]}],
    }


def providers(settings: Settings) -> list[tuple[dict[str, Any], dict[str, str]]]:
    """For each channel that Flux can reach: `spec` of its Provider, and key of the Secret to key of the stack file.

    Raises SettingsError for a receiver that there is not, or none of whose channels Flux can reach.
    """
    chosen = settings.flux.notifications
    if chosen is None:
        return []
    known = settings.alertmanager.receivers
    if chosen.receiver not in known:
        raise SettingsError(
            f"{WHERE}.receiver: {chosen.receiver} is none of alertmanager.receivers: {', '.join(known) or 'none'}"
        )
    found = [REACHED[channel.kind](channel) for channel in known[chosen.receiver] if channel.kind in REACHED]
    if not found:
        raise SettingsError(
            f"{WHERE}.receiver: Flux can reach no channel of {chosen.receiver}; it knows {', '.join(sorted(REACHED))}"
        )
    return found


def check(settings: Settings) -> None:
    """Raises SettingsError where Flux is to tell somebody and cannot."""
    if settings.flux.notifications and Software.FLUX not in settings.cluster.runs:
        raise SettingsError(f"{WHERE} is set, but cluster.runs does not name flux; add it there, or remove the setting")
    providers(settings)


def alert(settings: Settings, provider: str) -> dict[str, Any]:
    """`spec` of the Alert that sends the events of all Flux objects to a Provider."""
    chosen = settings.flux.notifications
    assert chosen is not None
    return {
        "providerRef": {"name": provider},
        "eventSeverity": chosen.severity,
        "eventMetadata": {"cluster": settings.cluster.name},
        "eventSources": [
            {"kind": kind, "name": "*", "namespace": namespace} for namespace in chosen.namespaces for kind in SOURCES
        ],
    }


def _address(kind: str) -> Callable[[Any], tuple[dict[str, Any], dict[str, str]]]:
    def build(channel: Webhook | MsTeams | Discord) -> tuple[dict[str, Any], dict[str, str]]:
        return {"type": kind}, {"address": channel.url_secret}

    return build


def _slack(channel: Slack) -> tuple[dict[str, Any], dict[str, str]]:
    return {"type": "slack", "channel": channel.channel}, {"address": channel.url_secret}


def _telegram(channel: Telegram) -> tuple[dict[str, Any], dict[str, str]]:
    spec = {"type": "telegram", "address": "https://api.telegram.org", "channel": str(channel.chat_id)}
    return spec, {"token": channel.token_secret}


def _opsgenie(channel: Opsgenie) -> tuple[dict[str, Any], dict[str, str]]:
    return {"type": "opsgenie", "address": f"{OPSGENIE[channel.region]}v2/alerts"}, {"token": channel.api_key_secret}


REACHED: dict[str, Callable[[Any], tuple[dict[str, Any], dict[str, str]]]] = {
    "webhook": _address("generic"),
    "slack": _slack,
    "msteams": _address("msteams"),
    "discord": _address("discord"),
    "telegram": _telegram,
    "opsgenie": _opsgenie,
}
"""Kinds of channels that Flux's notification controller knows as well, and their Provider."""


class Flux(pulumi.ComponentResource):
    """PodMonitor of Flux's controllers; a Provider with its Secret, and an Alert, for each channel to be told."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        secrets: Mapping[str, pulumi.Output[str]],
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:Flux", name, {}, opts)
        if settings.flux.monitor:
            meta = pods.metadata(APP, settings.namespaces.main)
            monitoring_object(f"{name}-monitor", "PodMonitor", meta, monitor(), self, crds)
        for number, (spec, keys) in enumerate(providers(settings)):
            self._tell(name, settings, spec, {entry: secrets[key] for entry, key in keys.items()}, number)
        self.register_outputs({})

    def _tell(
        self, name: str, settings: Settings, spec: dict[str, Any], data: Mapping[str, pulumi.Output[str]], number: int
    ) -> None:
        child = pulumi.ResourceOptions(parent=self)
        called = f"observability-{number}"
        meta = pods.metadata(APP, NAMESPACE, called)
        secret = k8s.core.v1.Secret(
            f"{name}-secret-{number}", metadata=meta, string_data=cast(dict[str, Any], dict(data)), opts=child
        )
        after = pulumi.ResourceOptions(parent=self, depends_on=[secret])
        for kind, content in (
            ("Provider", {**spec, "secretRef": {"name": called}}),
            ("Alert", alert(settings, called)),
        ):
            k8s.apiextensions.CustomResource(
                f"{name}-{kind.lower()}-{number}",
                api_version=NOTIFICATION_API,
                kind=kind,
                metadata=meta,
                spec=content,
                opts=after,
            )
