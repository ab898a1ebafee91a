"""DCGM exporter on GPU nodes: deployed by us, or one that a GPU Operator already runs."""

from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import pods
from components.dcgm_pod import pod_spec
from components.monitors import NODE_LABEL, monitoring_object
from settings import Settings
from settings.gpu import DcgmSettings

APP = "dcgm-exporter"
COUNTERS = Path(__file__).parent / "dcgm_counters.csv"
HOST_LABELS = ("hostname", "Hostname")
"""Label with the host: the second spelling up to 4.5.3-4.8.2, the first one after it."""


def counters(dcgm: DcgmSettings) -> str:
    """The list of what the exporter reads; without the capability for it nothing of the profiling module."""
    lines = COUNTERS.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if dcgm.profiling or not line.startswith("DCGM_FI_PROF_"))


def endpoint(dcgm: DcgmSettings) -> dict[str, Any]:
    """How the exporter is scraped: one `node` on every series, whatever the release calls its host label.

    The workload's labels keep the prefix `exported_`: `namespace` and `pod` are those of the exporter.
    """
    return {
        "interval": dcgm.interval,
        "honorLabels": False,
        "relabelings": NODE_LABEL,
        "metricRelabelings": [
            *(
                {"sourceLabels": ["node", spelling], "regex": ";(.+)", "targetLabel": "node", "replacement": "$1"}
                for spelling in HOST_LABELS
            ),
            # Without it, a release with the other spelling would begin every series anew.
            {"action": "labeldrop", "regex": "|".join(HOST_LABELS)},
        ],
    }


class DcgmExporter(pulumi.ComponentResource):
    """The exporter with its own counters file, or only the monitor of an existing one."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:DcgmExporter", name, {}, opts)
        dcgm, namespace = settings.dcgm, settings.namespaces.agents
        deployed = dcgm.mode == "deploy"
        if deployed:
            self._deploy(name, settings)
            monitor = {
                "selector": {"matchLabels": pods.selector(APP)},
                "jobLabel": "app.kubernetes.io/name",
                "podMetricsEndpoints": [{"port": "metrics", **endpoint(dcgm)}],
            }
        else:
            monitor = {
                "namespaceSelector": {"matchNames": [dcgm.existing_namespace]},
                "selector": {"matchLabels": dcgm.existing_labels},
                "endpoints": [
                    {
                        **endpoint(dcgm),
                        "port": dcgm.existing_port,
                        # Rules find the exporter by its job.
                        "relabelings": [*NODE_LABEL, {"targetLabel": "job", "replacement": APP}],
                    }
                ],
            }
        kind = "PodMonitor" if deployed else "ServiceMonitor"
        monitoring_object(f"{name}-monitor", kind, pods.metadata(APP, namespace), monitor, self, crds)
        self.register_outputs({})

    def _deploy(self, name: str, settings: Settings) -> None:
        namespace = settings.namespaces.agents
        child = pulumi.ResourceOptions(parent=self)
        meta = pods.metadata(APP, namespace)
        content = counters(settings.dcgm)
        k8s.core.v1.ServiceAccount(f"{name}-account", metadata=meta, opts=child)
        k8s.core.v1.ConfigMap(
            f"{name}-counters",
            metadata=pods.metadata(APP, namespace, f"{APP}-counters"),
            data={"counters.csv": content},
            opts=child,
        )
        k8s.apps.v1.DaemonSet(
            f"{name}-daemon-set",
            metadata=pods.metadata(APP, namespace, **pods.NO_WAIT),
            spec=pods.workload(APP, pod_spec(APP, settings), **{"checksum/counters": pods.checksum(content)}),
            opts=child,
        )
