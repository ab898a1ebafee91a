"""Grafana's data sources beside the chart's Prometheus, and what a log line of theirs leads to."""

from typing import Any
from urllib.parse import urlsplit

from components import addresses
from components.loki_gateway_config import ALL_CLUSTERS, USERNAME
from components.running import running
from settings import Settings

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


def data_sources(settings: Settings) -> list[dict[str, Any]]:
    """Those beside Prometheus, which the chart makes with the uid `prometheus`; on a hub those of all clusters too."""
    return [
        _loki("Loki", "loki", settings, derivedFields=derived_fields(settings)),
        *_of_all_clusters(settings),
        {
            "name": "Alertmanager",
            "type": "alertmanager",
            "uid": "alertmanager",
            "access": "proxy",
            "url": addresses.service(addresses.ALERTMANAGER, settings.namespaces.main, addresses.ALERTMANAGER_PORT),
            "jsonData": {"implementation": "prometheus", "handleGrafanaManagedAlerts": False},
            "editable": False,
        },
    ]


def _loki(name: str, uid: str, settings: Settings, path: str = "", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "loki",
        "uid": uid,
        "access": "proxy",
        "url": addresses.service(addresses.LOKI_GATEWAY, settings.namespaces.main, addresses.GATEWAY_PORT) + path,
        "basicAuth": True,
        "basicAuthUser": USERNAME,
        "secureJsonData": {"basicAuthPassword": "$LOKI_PASSWORD"},
        "jsonData": {"timeout": 60, "maxLines": 1000, **more},
        "editable": False,
    }


def _of_all_clusters(settings: Settings) -> list[dict[str, Any]]:
    """The data sources of a hub: series and lines of all clusters."""
    sources: list[dict[str, Any]] = []
    if settings.hub.enabled:
        sources.append(
            {
                "name": "Prometheus of all clusters",
                "type": "prometheus",
                "uid": "prometheus-clusters",
                "access": "proxy",
                "url": addresses.service(addresses.HUB, settings.namespaces.main, addresses.PROMETHEUS_PORT),
                "editable": False,
            }
        )
    if settings.hub.log_senders:
        sources.append(_loki("Loki of all clusters", "loki-clusters", settings, ALL_CLUSTERS))
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
