"""Promtail's configuration. Promtail's `-check-syntax` accepts nonsense; tests start it with `-dry-run`."""

from typing import Any

import yaml

from components import addresses, journal
from components.log_agent_client import promtail_client
from components.log_agent_stages import pod_stages
from settings import Settings
from settings.base import amount
from settings.log_agent import LogAgentSettings

PORT = 9080
POSITIONS = "/var/lib/promtail"
"""On the node's disk: /run is lost at a reboot, and with it the place where reading stopped."""
PASSWORD_FILE = "/etc/promtail/secrets/password"  # noqa: S105 (a path, not a password)


def config(settings: Settings) -> dict[str, Any]:
    """Content of Promtail's configuration file.

    `${NODE_NAME}` is filled in by Promtail (`-config.expand-env=true`).
    """
    gateway = addresses.service(addresses.LOKI_GATEWAY, settings.namespaces.main, addresses.GATEWAY_PORT)
    scrapes = [pod_scrape(settings.log_agent)]
    if settings.log_agent.journal.enabled:
        scrapes.append(journal.scrape(settings.log_agent))
    return {
        "server": {
            "http_listen_port": PORT,
            "grpc_listen_port": 0,
            # A node without pods has nothing to read and is ready all the same.
            "health_check_target": False,
        },
        "positions": {
            "filename": f"{POSITIONS}/positions.yaml",
            "sync_period": "10s",
            "ignore_invalid_yaml": True,
        },
        "clients": [
            promtail_client(f"{gateway}/loki/api/v1/push", PASSWORD_FILE, settings.cluster.name),
        ],
        "limits_config": {
            "max_line_size": f"{int(amount(settings.loki.limits.max_line_size)) // 1024}KB",
            "max_line_size_truncate": True,
        },
        "scrape_configs": scrapes,
    }


def text(content: dict[str, Any]) -> str:
    """The configuration as the text of its file.

    `-config.expand-env=true` makes one backslash of two, so each is written twice.
    """
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).replace("\\", "\\\\")


def _meta(*names: str) -> list[str]:
    return [f"__meta_kubernetes_{name}" for name in names]


def pod_scrape(settings: LogAgentSettings) -> dict[str, Any]:
    """Scrape of all containers of this node, labelled namespace, pod, container, app, node and job only."""
    return {
        "job_name": "pods",
        "pipeline_stages": pod_stages(settings),
        "kubernetes_sd_configs": [
            # Only this node's pods are watched: the load on the API server does not grow with the square of nodes.
            {"role": "pod", "selectors": [{"role": "pod", "field": "spec.nodeName=${NODE_NAME}"}]}
        ],
        "relabel_configs": pod_relabeling(),
    }


def pod_relabeling() -> list[dict[str, Any]]:
    """From what Kubernetes says of a container to the labels of its stream and the path of its files."""
    return [
        {"source_labels": _meta("pod_node_name"), "target_label": "__host__"},
        {"source_labels": _meta("namespace"), "target_label": "namespace"},
        {"source_labels": _meta("pod_name"), "target_label": "pod"},
        {"source_labels": _meta("pod_container_name"), "target_label": "container"},
        {"source_labels": _meta("pod_node_name"), "target_label": "node"},
        # app: the usual labels in order, else the controller, else the pod.
        {
            "source_labels": _meta(
                "pod_label_app_kubernetes_io_name", "pod_label_app", "pod_label_k8s_app", "pod_controller_name"
            ),
            "separator": ";",
            "regex": ";*([^;]+)(;.*)?",
            "target_label": "app",
            "replacement": "$1",
        },
        {
            "source_labels": ["app", *_meta("pod_name")],
            "separator": ";",
            "regex": ";(.+)",
            "target_label": "app",
            "replacement": "$1",
        },
        {
            "source_labels": ["namespace", "app"],
            "separator": "/",
            "target_label": "job",
        },
        {
            "source_labels": _meta("pod_uid", "pod_container_name"),
            "separator": "/",
            "target_label": "__path__",
            "replacement": "/var/log/pods/*$1/*.log",
        },
        # A static pod's log folder is named after the hash of its file, not after its uid.
        {
            "source_labels": _meta(
                "pod_annotationpresent_kubernetes_io_config_hash",
                "pod_annotation_kubernetes_io_config_hash",
                "pod_container_name",
            ),
            "separator": "/",
            "regex": "true/(.*)",
            "target_label": "__path__",
            "replacement": "/var/log/pods/*$1/*.log",
        },
    ]
