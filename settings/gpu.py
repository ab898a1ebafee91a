"""DCGM exporter."""

from typing import Literal

from settings.base import Duration, Model, Resources

GPU_NODE_LABELS = (
    ("nvidia.com/gpu.present", "true"),
    ("feature.node.kubernetes.io/pci-10de.present", "true"),
    ("feature.node.kubernetes.io/pci-0302_10de.present", "true"),
    ("cloud.google.com/gke-accelerator", None),
    ("k8s.amazonaws.com/accelerator", None),
)
"""Labels by which GPU nodes are known: GPU Operator, node feature discovery, GKE, EKS. None: any value."""


class DcgmSettings(Model):
    """`observability:dcgm`."""

    mode: Literal["deploy", "existing", "off"] = "off"
    """`existing`: a GPU Operator already runs the exporter, it is only scraped. `off`: no GPU, no GPU rules."""
    runtime_class: str | None = None
    """k3s and some GPU Operators: `nvidia`."""
    existing_labels: dict[str, str] = {"app": "nvidia-dcgm-exporter"}
    """Labels of the existing exporter's Service; the default is the GPU Operator's."""
    existing_namespace: str = "gpu-operator"
    interval: Duration = "15s"
    resources: Resources = Resources(cpu="100m", memory="256Mi", memory_limit="512Mi")
