"""The gateway before Loki: asks for a password, sets the tenant itself, and lets only Loki's API through.

On a hub it takes lines of other clusters as well. Each has a password, may push and nothing else, and is a tenant of
its own. Loki's limits are those of a tenant, so a cluster that writes too much is refused alone; rules of this cluster
never see lines of others; and whatever a sender says, its lines are stored under the name that it logged in by.
"""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components import addresses, images, pods
from components.disruption_budget import disruption_budget
from components.loki_gateway_config import USERNAME, htpasswd, nginx_config
from settings import Settings

APP = addresses.LOKI_GATEWAY
CREDENTIALS = "loki-credentials"
"""Secret with `username` and `password`, in each namespace that has a client of Loki."""
NGINX_USER = 101


def pod_spec(settings: Settings) -> dict[str, Any]:
    """Pod of the Deployment."""
    return {
        "automountServiceAccountToken": False,
        "priorityClassName": pods.PRIORITY_CLASS,
        "securityContext": pods.restricted_pod(NGINX_USER),
        "topologySpreadConstraints": pods.spread(APP),
        "containers": [
            {
                "name": "nginx",
                "image": images.reference("nginx", settings),
                "args": ["nginx", "-c", "/etc/nginx/config/nginx.conf", "-g", "daemon off;"],
                "ports": [{"name": "http", "containerPort": addresses.GATEWAY_PORT}],
                "resources": settings.loki.gateway.resources.manifest(),
                "securityContext": pods.RESTRICTED_CONTAINER,
                "readinessProbe": pods.http_probe("/healthz", "http", period=5),
                "livenessProbe": pods.http_probe("/healthz", "http"),
                "volumeMounts": [
                    {"name": "config", "mountPath": "/etc/nginx/config"},
                    {"name": "htpasswd", "mountPath": "/etc/nginx/secrets"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (a mount path in the pod)
                ],
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": f"{APP}-config"}},
            {"name": "htpasswd", "secret": {"secretName": f"{APP}-htpasswd"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }


class LokiGateway(pulumi.ComponentResource):
    """NGINX before Loki, its password, and the Secrets of Loki's clients."""

    password: pulumi.Output[str]
    """Of Loki's own clients; a secret."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        secrets: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:LokiGateway", name, {}, opts)
        namespace = settings.namespaces.main
        child = pulumi.ResourceOptions(parent=self)
        password = random.RandomPassword(f"{name}-password", length=40, special=False, opts=child)
        self.password = password.result
        salt = random.RandomPassword(f"{name}-salt", length=12, special=False, opts=child)
        line = pulumi.Output.all(password.result, salt.result).apply(lambda both: htpasswd(USERNAME, *both))
        # NGINX takes one file: the gateway's own user stands in both.
        others = [
            pulumi.Output.all(sender.cluster, secrets[sender.password_secret], salt.result).apply(
                lambda three: htpasswd(three[0], three[1], three[2] + three[0])
            )
            for sender in settings.hub.log_senders
        ]
        senders = pulumi.Output.concat(line, *others)
        for role, target in (("main", namespace), ("agents", settings.namespaces.agents)):
            k8s.core.v1.Secret(
                f"{name}-credentials-{role}",
                metadata=pods.metadata(APP, target, CREDENTIALS),
                string_data={"username": USERNAME, "password": password.result},
                opts=child,
            )
        k8s.core.v1.Secret(
            f"{name}-htpasswd",
            metadata=pods.metadata(APP, namespace, f"{APP}-htpasswd"),
            string_data={"htpasswd": line, **({"senders": senders} if others else {})},
            opts=child,
        )
        content = nginx_config(settings)
        k8s.core.v1.ConfigMap(
            f"{name}-config",
            metadata=pods.metadata(APP, namespace, f"{APP}-config"),
            data={"nginx.conf": content},
            opts=child,
        )
        k8s.core.v1.Service(
            f"{name}-service",
            metadata=pods.metadata(APP, namespace, **pods.NO_WAIT),
            spec={
                "selector": pods.selector(APP),
                "ports": [{"name": "http", "port": addresses.GATEWAY_PORT, "targetPort": "http"}],
            },
            opts=child,
        )
        # The hash of a salted hash of a long random password gives nothing away; marked plain, it keeps diffs readable.
        rolled_by = pulumi.Output.unsecret(senders.apply(lambda text: pods.checksum([content, text])))
        k8s.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=pods.metadata(APP, namespace),
            spec={
                "replicas": settings.loki.gateway.replicas,
                **pods.workload(APP, pod_spec(settings), **{"checksum/config": rolled_by}),
            },
            opts=child,
        )
        disruption_budget(name, APP, namespace, settings.loki.gateway.replicas, self)
        self.register_outputs({"credentials": CREDENTIALS})
