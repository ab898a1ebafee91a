"""DCGM exporter."""

from typing import Annotated, Literal

from pydantic import Field

from settings.base import Duration, Model, Resources

GPU_NODE_LABELS = (
    ("nvidia.com/gpu.present", "true"),
    ("feature.node.kubernetes.io/pci-10de.present", "true"),
    ("feature.node.kubernetes.io/pci-0300_10de.present", "true"),
    ("feature.node.kubernetes.io/pci-0302_10de.present", "true"),
    ("cloud.google.com/gke-accelerator", None),
    ("k8s.amazonaws.com/accelerator", None),
    ("karpenter.k8s.aws/instance-gpu-manufacturer", "nvidia"),
    ("kubernetes.azure.com/accelerator", "nvidia"),
)
"""Labels by which GPU nodes are known: GPU Operator, node feature discovery (10de is NVIDIA, 0300 a card with screens,
0302 one without), GKE, EKS, Karpenter, AKS. None: any value."""


class DcgmSettings(Model):
    """`observability:dcgm`."""

    mode: Literal["deploy", "existing", "off"] = "off"
    """`existing`: a GPU Operator already runs the exporter, it is only scraped. `off`: no GPU, no GPU rules."""
    node_labels: dict[str, str] = {}
    """Further labels of GPU nodes, each for itself: where no operator and no cloud labels them."""
    runtime_class: str | None = None
    """Runtime class of the pod. By default what the distribution needs: `nvidia` on k3s, else none; `""` for none."""
    driver_path: Annotated[str, Field(pattern=r"^(/.+)?$")] | None = None
    """Folder of the node with the driver, where no container runtime brings it in; the pod is privileged then. By
    default what the distribution needs: `/home/kubernetes/bin/nvidia` on GKE, none elsewhere; `""` for none."""
    profiling: bool = True
    """Counters of DCGM's profiling module, and MIG instances: the pod has the capability SYS_ADMIN then, else none."""
    existing_labels: dict[str, str] = {"app": "nvidia-dcgm-exporter"}
    """Labels of the existing exporter's Service; the default is the GPU Operator's."""
    existing_namespace: str = "gpu-operator"
    existing_port: str = "gpu-metrics"
    """Name of the Service's port: `gpu-metrics` of the GPU Operator, `metrics` of the exporter's own chart."""
    interval: Duration = "15s"
    resources: Resources = Resources(cpu="100m", memory="256Mi", memory_limit="512Mi")
