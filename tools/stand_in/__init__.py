"""The stand-in for the kube-prometheus-stack chart, for the local cluster where the chart cannot be reached.

A small set of objects made from the same settings as the chart's values: operator, Prometheus object,
kube-state-metrics, node-exporter and their monitors. Each carries the label `observability/stands-in-for`.
"""

from collections.abc import Mapping
from typing import Any

from components import chart_values, dcgm_exporter
from components.versions import IMAGES
from settings import Settings
from settings.reader import PROJECT
from tools.stand_in import control_plane, exporters, operator, prometheus
from tools.stand_in.dcgm import recorded
from tools.stand_in.kinds import STANDS_FOR, Object

__all__ = ["CHART", "GRAFANA_IMAGES", "STANDS_FOR", "WITHOUT", "chart_objects", "names", "recorded", "without_grafana"]

CHART = "kube-prometheus-stack"
WITHOUT = {"grafana": {"enabled": False}}
"""Settings that change with the stand-in: no program of Grafana can be built, and its probe would page for ever."""
TUNNEL = f"{PROJECT}:cloudflareTunnel"
GRAFANA_IMAGES = {IMAGES[name].repository for name in ("grafana", "k8s-sidecar")}
"""Without each of them Grafana's pod does not start."""


def without_grafana(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a stack file without Grafana. A tunnel that led there alone leads to Prometheus instead."""
    changed = {**config, **{f"{PROJECT}:{section}": content for section, content in WITHOUT.items()}}
    tunnel = config.get(TUNNEL)
    if isinstance(tunnel, Mapping):
        left = [page for page in tunnel.get("opens", []) if page != "grafana"]
        changed[TUNNEL] = {**tunnel, "opens": left or ["prometheus"]}
    return changed


def chart_objects(settings: Settings) -> list[Object]:
    """What the local cluster gets instead of the chart's objects."""
    values, namespace = chart_values.values(settings), settings.namespaces.main
    return [
        *operator.objects(values["prometheusOperator"], namespace),
        *prometheus.objects(values["prometheus"], namespace),
        *exporters.kube_state_metrics(values["kube-state-metrics"], namespace),
        *exporters.node_exporter(values["prometheus-node-exporter"]),
        *control_plane.objects(values, namespace),
    ]


def names(objects: list[Object]) -> list[str]:
    """What the objects stand in for, in words, and what has no object at all."""
    stands_for = {item["metadata"].get("labels", {}).get(STANDS_FOR) for item in objects}
    said = {
        CHART: "The chart kube-prometheus-stack cannot be reached. A stand-in brings operator, Prometheus, "
        "kube-state-metrics, node-exporter and their monitors, made from the same settings; the chart's recording "
        "rules and Grafana are left out.",
        dcgm_exporter.APP: "No GPU is here. A web server serves a recorded exposition of one GPU, as that of fake-gpu.",
    }
    return [text for name, text in said.items() if name in stands_for]
