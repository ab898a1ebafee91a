"""The gateway's NGINX: its configuration, and the lines of its password files. Everything here is pure."""

import base64
import hashlib

from components import addresses
from settings import Settings, SettingsError

USERNAME = "observability"
ALL_CLUSTERS = "/clusters"
"""Below this path the gateway of a hub answers for all clusters at once, to its own user, and takes no lines."""


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
