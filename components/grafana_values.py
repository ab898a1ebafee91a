"""Grafana's part of the chart's values. They end in plain state: no secret is ever among them."""

from typing import Any

from components import deletion, images, pods
from components.dashboard_files import FOLDERS
from components.grafana_data_sources import data_sources
from components.loki_gateway import CREDENTIALS
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
        "service": {"annotations": pods.NO_WAIT},
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
        "additionalDataSources": data_sources(settings),
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
