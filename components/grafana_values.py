"""Grafana's part of the chart's values. They end in plain state: no secret is ever among them."""

from typing import Any
from urllib.parse import urlsplit

from components import addresses, deletion, images, pods
from components.dashboards import FOLDERS
from components.loki_gateway import ALL_CLUSTERS, CREDENTIALS, USERNAME
from components.running import running
from components.versions import IMAGES
from settings import Settings
from settings.grafana import GrafanaSettings, OidcSettings

SECRET = "grafana-admin"  # noqa: S105 (a Secret's name)
OIDC_SECRET = "grafana-oidc"  # noqa: S105 (a Secret's name)
OIDC_KEY = "client-secret"
OIDC_MOUNT = "/etc/secrets/oidc"
ROLE = "grafana-dashboards"
"""Our ClusterRole for the sidecar: the chart's own may read every Secret of the cluster."""
DASHBOARDS = "/tmp/dashboards"  # noqa: S108 (where the sidecar of the chart puts its files in the pod)
HOME = f"{DASHBOARDS}/{FOLDERS['kubernetes']}/cluster-overview.json"
CHART_FOLDER = "Kubernetes details"
"""Folder of the chart's own dashboards."""
FROM_LABEL: dict[str, str] = {
    "namespace": "/d/kubernetes-failures?var-namespace=",
    "pod": "/d/logs-overview?var-pod=",
}
"""Where the value of a log line's label leads."""
FROM_LINE: dict[str, tuple[str, str]] = {
    "certificates": (r"(x509: certificate has expired)", "/d/certificates"),
    "gpu": (r"(NVRM: Xid)", "/d/gpu"),
    "flux": (r'"controllerKind":"(\w+)"', "/d/flux"),
    "argo-cd": (r"application=(?:[\w-]+/)?([\w-]+)", "/d/argo-cd"),
    "postgresql": (r"(FATAL:  sorry, too many clients|could not connect to server)", "/d/postgresql"),
}
"""Where a word in a log line leads, by the dashboard. The first group of the expression is what is shown."""


def grafana(settings: Settings) -> dict[str, Any]:
    """Grafana with data sources of fixed uid, and dashboards by sidecar label."""
    chosen = settings.grafana
    if not chosen.enabled:
        return {"enabled": False, "forceDeployDashboards": False}
    values: dict[str, Any] = {
        "enabled": True,
        "image": {"tag": IMAGES["grafana"].tag, "sha": images.sha("grafana", settings)},
        "admin": {"existingSecret": SECRET, "userKey": "admin-user", "passwordKey": "admin-password"},
        "rbac": {"useExistingClusterRole": ROLE},
        "initChownData": {"enabled": False},
        "containerSecurityContext": {"readOnlyRootFilesystem": True},
        # Sockets of its plugins.
        "extraEmptyDirMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 (a mount path in the pod)
        "defaultDashboardsEnabled": chosen.default_dashboards,
        "defaultDashboardsEditable": False,
        "service": {"annotations": {"pulumi.com/skipAwait": "true"}},
        "priorityClassName": pods.PRIORITY_CLASS,
        "resources": chosen.resources.manifest(),
        "plugins": chosen.plugins,
        "persistence": _persistence(chosen),
        "grafana.ini": configuration(chosen),
        # Grafana fills $LOKI_PASSWORD into the datasource file when it reads it.
        "envValueFrom": {"LOKI_PASSWORD": {"secretKeyRef": {"name": CREDENTIALS, "key": "password"}}},
        "sidecar": {
            "image": {"tag": IMAGES["k8s-sidecar"].tag, "sha": images.sha("k8s-sidecar", settings)},
            "resources": {"requests": {"cpu": "10m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
            "dashboards": {
                "enabled": True,
                "resource": "configmap",
                "label": "grafana_dashboard",
                "labelValue": "1",
                "folder": DASHBOARDS,
                "folderAnnotation": "grafana_folder",
                "annotations": {"grafana_folder": CHART_FOLDER, **deletion.AT_ONCE},
                "searchNamespace": "ALL",
                "provider": {"foldersFromFilesStructure": True, "allowUiUpdates": False},
            },
            "datasources": {"resource": "configmap", "alertmanager": {"enabled": False}},
        },
        "additionalDataSources": datasources(settings),
    }
    if chosen.oidc:
        mount = {"name": "oidc", "mountPath": OIDC_MOUNT, "secretName": OIDC_SECRET, "readOnly": True}
        values["extraSecretMounts"] = [mount]
    return values


def configuration(chosen: GrafanaSettings) -> dict[str, Any]:
    """`grafana.ini`, by section."""
    https = (chosen.external_url or "").startswith("https://")
    ini: dict[str, Any] = {
        "analytics": {"reporting_enabled": False, "check_for_updates": False, "check_for_plugin_updates": False},
        "auth": {"disable_login_form": not chosen.login_form},
        "auth.anonymous": {"enabled": False},
        "dashboards": {"default_home_dashboard_path": HOME, "min_refresh_interval": "30s"},
        "news": {"news_feed_enabled": False},
        "plugins": _plugins(chosen),
        "security": {
            "allow_embedding": chosen.embedding,
            "cookie_secure": https,
            # In a frame of another site the session's cookie is one of a third party.
            "cookie_samesite": "none" if chosen.embedding and https else "lax",
            "disable_gravatar": True,
            "strict_transport_security": https,
        },
        "snapshots": {"external_enabled": False},
        # Alerts live in rule files; a second place for them would be a place to forget.
        "unified_alerting": {"enabled": False},
        "users": {"allow_sign_up": False},
    }
    if chosen.external_url:
        ini["server"] = {"root_url": chosen.external_url}
    if chosen.oidc:
        ini["auth.generic_oauth"] = _oidc(chosen.oidc)
    return ini


def _plugins(chosen: GrafanaSettings) -> dict[str, Any]:
    """Grafana brings some plugins from the internet at each start, unless it is told not to.

    `preinstall_disabled` shuts out those that a stack names as well, which the chart hands over as `preinstall_sync`
    (Grafana 13, readPluginSettings). What the image holds is never replaced by a newer version at start.
    """
    fetched = {"preinstall_auto_update": False} if chosen.plugins else {"preinstall_disabled": True}
    return {**fetched, "plugin_admin_enabled": False}


def _oidc(oidc: OidcSettings) -> dict[str, Any]:
    return {
        "enabled": True,
        "name": oidc.name,
        # Whoever has a role gets an account at the first login.
        "allow_sign_up": True,
        "client_id": oidc.client_id,
        "client_secret": f"$__file{{{OIDC_MOUNT}/{OIDC_KEY}}}",
        "scopes": " ".join(oidc.scopes),
        "auth_url": oidc.auth_url,
        "token_url": oidc.token_url,
        "api_url": oidc.api_url,
        "use_pkce": True,
        "role_attribute_path": oidc.role(),
        # Without a role nobody gets in; the default would be to make everybody a viewer.
        "role_attribute_strict": True,
        "allow_assign_grafana_admin": False,
    }


def _persistence(chosen: GrafanaSettings) -> dict[str, Any]:
    if not chosen.volume_size:
        return {"enabled": False}
    # Of a StatefulSet the claim outlives the chart, as those of Loki and Prometheus do.
    volume = {"enabled": True, "type": "statefulset", "size": chosen.volume_size}
    return volume | ({"storageClassName": chosen.storage_class} if chosen.storage_class else {})


def datasources(settings: Settings) -> list[dict[str, Any]]:
    """The data sources beside Prometheus, which the chart makes with the uid `prometheus`."""
    namespace = settings.namespaces.main
    return [
        {
            "name": "Loki",
            "type": "loki",
            "uid": "loki",
            "access": "proxy",
            "url": addresses.service(addresses.LOKI_GATEWAY, namespace, addresses.GATEWAY_PORT),
            "basicAuth": True,
            "basicAuthUser": USERNAME,
            "secureJsonData": {"basicAuthPassword": "$LOKI_PASSWORD"},
            "jsonData": {"timeout": 60, "maxLines": 1000, "derivedFields": derived_fields(settings)},
            "editable": False,
        },
        *_of_all_clusters(settings),
        {
            "name": "Alertmanager",
            "type": "alertmanager",
            "uid": "alertmanager",
            "access": "proxy",
            "url": addresses.service(addresses.ALERTMANAGER, namespace, addresses.ALERTMANAGER_PORT),
            "jsonData": {"implementation": "prometheus", "handleGrafanaManagedAlerts": False},
            "editable": False,
        },
    ]


def _of_all_clusters(settings: Settings) -> list[dict[str, Any]]:
    """The data sources of a hub: series and lines of all clusters."""
    namespace = settings.namespaces.main
    sources: list[dict[str, Any]] = []
    if settings.hub.enabled:
        sources.append(
            {
                "name": "Prometheus of all clusters",
                "type": "prometheus",
                "uid": "prometheus-clusters",
                "access": "proxy",
                "url": addresses.service(addresses.HUB, namespace, addresses.PROMETHEUS_PORT),
                "editable": False,
            }
        )
    if settings.hub.log_senders:
        sources.append(
            {
                "name": "Loki of all clusters",
                "type": "loki",
                "uid": "loki-clusters",
                "access": "proxy",
                "url": addresses.service(addresses.LOKI_GATEWAY, namespace, addresses.GATEWAY_PORT) + ALL_CLUSTERS,
                "basicAuth": True,
                "basicAuthUser": USERNAME,
                "secureJsonData": {"basicAuthPassword": "$LOKI_PASSWORD"},
                "jsonData": {"timeout": 60, "maxLines": 1000},
                "editable": False,
            }
        )
    return sources


def derived_fields(settings: Settings) -> list[dict[str, str]]:
    """Links from a log line to the dashboards that the stack ships."""
    path = urlsplit(settings.grafana.external_url or "").path
    runs = running(settings)
    # Grafana reads `$` in this file as a variable of its environment; doubled, it stays one.
    value = "$${__value.raw}"
    labels = [
        {"name": f"its {label}", "matcherType": "label", "matcherRegex": label, "url": f"{path}{url}{value}"}
        for label, url in FROM_LABEL.items()
    ]
    lines = [
        {"name": f"dashboard {uid}", "matcherType": "regex", "matcherRegex": expression, "url": f"{path}{url}"}
        for uid, (expression, url) in FROM_LINE.items()
        if runs.get(uid) is None
    ]
    return [{**field, "urlDisplayLabel": "open"} for field in labels + lines]
