"""The gateway before Loki: asks for a password, sets the tenant itself, and lets only Loki's API through.

On a hub it takes lines of other clusters as well. Each has a password, may push and nothing else, and is a tenant of
its own. Loki's limits are those of a tenant, so a cluster that writes too much is refused alone; rules of this cluster
never see lines of others; and whatever a sender says, its lines are stored under the name that it logged in by.
"""

import base64
import hashlib
from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components import addresses, images, pods
from settings import Settings, SettingsError

APP = addresses.LOKI_GATEWAY
CREDENTIALS = "loki-credentials"
"""Secret with `username` and `password`, in each namespace that has a client of Loki."""
USERNAME = "observability"
ALL_CLUSTERS = "/clusters"
"""Below this path the gateway of a hub answers for all clusters at once, to its own user, and takes no lines."""
NGINX_USER = 101


def check(settings: Settings) -> None:
    """Raises SettingsError where another cluster would be a tenant, or a user, of this one."""
    taken = {settings.loki.tenant: "loki.tenant", settings.cluster.name: "cluster.name", USERNAME: "the gateway's user"}
    for sender in settings.hub.log_senders:
        if sender.cluster in taken:
            raise SettingsError(
                f"observability:hub.logSenders: {sender.cluster} is {taken[sender.cluster]} of this stack; "
                "a sender is another cluster"
            )


def nginx_config(settings: Settings) -> str:
    """NGINX's configuration. `proxy_set_header` replaces a tenant header that a client sends."""
    senders = [sender.cluster for sender in settings.hub.log_senders]
    # With a prefix, since the map has words of its own, such as `default`.
    tenants = "".join(f' "user {sender}" {sender};' for sender in senders)
    everybody = (
        f"""
    location {ALL_CLUSTERS}/loki/api/v1/push {{ return 404; }}
    location {ALL_CLUSTERS}/loki/api/ {{
      auth_basic "Loki";
      set $tenant "{"|".join([settings.loki.tenant, *senders])}";
      proxy_pass {addresses.loki_part("query-frontend", settings)}/loki/api/;
    }}"""
        if senders
        else ""
    )
    write, read, ruler = (addresses.loki_part(part, settings) for part in ("distributor", "query-frontend", "ruler"))
    return f"""\
worker_processes 1;
error_log /dev/stderr warn;
pid /tmp/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  client_body_temp_path /tmp/client_body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  access_log off;
  server_tokens off;
  client_max_body_size 16m;
  proxy_read_timeout 300s;
  proxy_http_version 1.1;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  map "user $remote_user" $sender {{ default {settings.loki.tenant};{tenants} }}
  server {{
    listen {addresses.GATEWAY_PORT};
    location = /healthz {{ return 200 "ok\\n"; }}
    location = /ready {{ proxy_pass {write}/ready; }}
    auth_basic_user_file /etc/nginx/secrets/htpasswd;
    set $tenant $sender;
    proxy_set_header Authorization "";
    proxy_set_header X-Scope-OrgID $tenant;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    location = /loki/api/v1/push {{
      auth_basic "Loki";
      auth_basic_user_file /etc/nginx/secrets/{"senders" if senders else "htpasswd"};
      proxy_pass {write};
    }}
    location /loki/api/ {{ auth_basic "Loki"; proxy_pass {read}; }}
    # What Grafana reads of the ruler's state.
    location ~ ^/(prometheus/api/v1/(rules|alerts)$|loki/api/v1/rules) {{ auth_basic "Loki"; proxy_pass {ruler}; }}
    location / {{ return 404; }}{everybody}
  }}
}}
"""


def htpasswd(username: str, password: str, salt: str) -> str:
    """A line of an htpasswd file in the SSHA scheme.

    A fast salted hash suffices for a long random password; bcrypt would cost processor time on every push.
    """
    digest = hashlib.sha1(password.encode() + salt.encode()).digest()  # noqa: S324 (the scheme's own hash)
    return f"{username}:{{SSHA}}{base64.b64encode(digest + salt.encode()).decode()}\n"


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
            metadata=pods.metadata(APP, namespace, **{"pulumi.com/skipAwait": "true"}),
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
                "selector": {"matchLabels": pods.selector(APP)},
                "template": {
                    "metadata": {"labels": pods.labels(APP), "annotations": {"checksum/config": rolled_by}},
                    "spec": {
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
                    },
                },
            },
            opts=child,
        )
        if settings.loki.gateway.replicas > 1:
            k8s.policy.v1.PodDisruptionBudget(
                f"{name}-disruption-budget",
                metadata=pods.metadata(APP, namespace),
                spec={"maxUnavailable": 1, "selector": {"matchLabels": pods.selector(APP)}},
                opts=child,
            )
        self.register_outputs({"credentials": CREDENTIALS})
