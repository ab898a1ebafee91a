"""Cloudflare tunnel: cloudflared connects outwards, so no port of the cluster is open."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import images, pods
from components.disruption_budget import disruption_budget
from components.monitors import pod_monitor
from settings import Settings, SettingsError

APP = "cloudflared"
PORT = 2000
USER = 65532
TOKEN_SECRET, TOKEN_FOLDER = f"{APP}-token", "/etc/cloudflared"
DRAIN_SECONDS = 30


def check(settings: Settings) -> None:
    """Raises SettingsError where the tunnel would lead to a page that the stack does not have."""
    chosen = settings.cloudflare_tunnel
    if chosen.mode == "deploy" and "grafana" in chosen.opens and not settings.grafana.enabled:
        raise SettingsError(
            "observability:cloudflareTunnel.opens: names grafana, and grafana.enabled is false; name another page or "
            "switch Grafana on"
        )


def pod_spec(settings: Settings) -> dict[str, Any]:
    """Pod of the Deployment. The token is a file: arguments and environment can be read by more programs than it."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": pods.PRIORITY_CLASS,
        "securityContext": pods.restricted_pod(USER),
        "topologySpreadConstraints": pods.spread(APP),
        # Requests that are under way end before the connections do.
        "terminationGracePeriodSeconds": DRAIN_SECONDS + 10,
        "containers": [
            {
                "name": APP,
                "image": images.reference(APP, settings),
                "args": ["tunnel", "--metrics", f"0.0.0.0:{PORT}", "--grace-period", f"{DRAIN_SECONDS}s", "run"],
                "env": [{"name": "TUNNEL_TOKEN_FILE", "value": f"{TOKEN_FOLDER}/token"}],
                "ports": [{"name": "metrics", "containerPort": PORT}],
                "resources": settings.cloudflare_tunnel.resources.manifest(),
                "securityContext": pods.RESTRICTED_CONTAINER,
                # Ready with one connection. Without any it stays alive: a restart would not bring the other side back.
                "readinessProbe": pods.http_probe("/ready", "metrics", period=5),
                "livenessProbe": pods.http_probe("/healthcheck", "metrics"),
                "volumeMounts": [{"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True}],
            }
        ],
        "volumes": [{"name": "token", "secret": {"secretName": TOKEN_SECRET}}],
    }


class CloudflareTunnel(pulumi.ComponentResource):
    """cloudflared with its token as a Secret, its PodDisruptionBudget, and the monitor of its connections."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        secrets: Mapping[str, pulumi.Output[str]],
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:CloudflareTunnel", name, {}, opts)
        chosen, namespace = settings.cloudflare_tunnel, settings.namespaces.main
        child = pulumi.ResourceOptions(parent=self)
        token = secrets[str(chosen.token_secret)]
        k8s.core.v1.Secret(
            f"{name}-token",
            metadata=pods.metadata(APP, namespace, TOKEN_SECRET),
            string_data={"token": token},
            opts=child,
        )
        # cloudflared reads its token once. The hash is no secret, and must not make the whole Deployment one.
        rolled_by = pulumi.Output.unsecret(token.apply(pods.checksum))
        k8s.apps.v1.Deployment(
            f"{name}-deployment",
            # It is ready once Cloudflare answers, which is no reason to fail a deployment.
            metadata=pods.metadata(APP, namespace, **pods.NO_WAIT),
            spec={
                "replicas": chosen.replicas,
                **pods.workload(APP, pod_spec(settings), **{"checksum/token": rolled_by}),
            },
            opts=child,
        )
        disruption_budget(name, APP, namespace, chosen.replicas, self)
        pod_monitor(f"{name}-monitor", APP, namespace, "metrics", self, crds)
        self.register_outputs({})
