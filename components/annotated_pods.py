"""Pods that ask by annotation to be scraped: prometheus.io/scrape, port, path and scheme. Off by default."""

from typing import Any

import pulumi

from components import pods
from components.monitors import monitoring_object
from settings import Settings

NAME = "annotated-pods"
ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io_"
PORT = "__tmp_annotated_port"


def spec(settings: Settings) -> dict[str, Any]:
    """Spec of the ScrapeConfig. PodMonitors cannot do it: they name a port, and here the annotation does.

    `job` becomes `<namespace>/<app>`: without a slash a pod could pass for a job that rules know.
    """
    chosen = settings.prometheus.annotated_pods
    namespaces = {"namespaces": {"names": chosen.namespaces}} if chosen.namespaces else {}
    return {
        "kubernetesSDConfigs": [{"role": "Pod", **namespaces}],
        "sampleLimit": chosen.sample_limit,
        # Home-made pages of metrics often lack a content type, without which Prometheus 3 reads nothing.
        "fallbackScrapeProtocol": "PrometheusText0.0.4",
        "relabelings": [
            {"sourceLabels": [f"{ANNOTATION}scrape"], "regex": "true", "action": "Keep"},
            {"sourceLabels": ["__meta_kubernetes_pod_phase"], "regex": "Pending|Succeeded|Failed", "action": "Drop"},
            {"sourceLabels": ["__meta_kubernetes_pod_container_init"], "regex": "true", "action": "Drop"},
            # The port of the annotation, else every TCP port that the pod declares; a pod without any is left out.
            _set(
                PORT, "TCP;(.+)", "$1", "__meta_kubernetes_pod_container_port_protocol", _pod("container_port_number")
            ),
            _set(PORT, r"(\d+)", "$1", f"{ANNOTATION}port"),
            # Not an empty expression: the operator leaves it out, and then everything matches.
            {"sourceLabels": [PORT], "regex": "^$", "action": "Drop"},
            _set("__address__", r"([^:]+);(\d+)", "$1:$2", _pod("ip"), PORT),
            _set("__address__", r"(.*:.*);(\d+)", "[$1]:$2", _pod("ip"), PORT),
            _set("__scheme__", "(https?)", "$1", f"{ANNOTATION}scheme"),
            _set("__metrics_path__", "(.+)", "$1", f"{ANNOTATION}path"),
            _set("namespace", "(.+)", "$1", "__meta_kubernetes_namespace"),
            _set("pod", "(.+)", "$1", _pod("name")),
            _set("node", "(.+)", "$1", _pod("node_name")),
            _set("job", "(.+)", f"$1/{NAME}", "__meta_kubernetes_namespace"),
            _set("job", "(.+);(.+)", "$1/$2", "__meta_kubernetes_namespace", _pod("label_app")),
            _set("job", "(.+);(.+)", "$1/$2", "__meta_kubernetes_namespace", _pod("label_app_kubernetes_io_name")),
        ],
    }


def _pod(what: str) -> str:
    return f"__meta_kubernetes_pod_{what}"


def _set(target: str, regex: str, replacement: str, *sources: str) -> dict[str, Any]:
    return {
        "sourceLabels": list(sources),
        "separator": ";",
        "regex": regex,
        "replacement": replacement,
        "targetLabel": target,
        "action": "Replace",
    }


class AnnotatedPods(pulumi.ComponentResource):
    """The ScrapeConfig."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:AnnotatedPods", name, {}, opts)
        metadata = pods.metadata(NAME, settings.namespaces.main)
        monitoring_object(f"{name}-scrape-config", "ScrapeConfig", metadata, spec(settings), self, crds)
        self.register_outputs({})
