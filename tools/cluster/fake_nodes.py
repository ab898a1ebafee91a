"""Fake nodes beside, or instead of, the real one: kwok makes them and their pods look alive; nothing runs on them."""

from pathlib import Path
from typing import Any

from tools import go_build
from tools.cluster.control_plane import ControlPlane

MANAGED = "kwok.x-k8s.io/node"
"""Annotation and taint of the nodes that kwok may manage. The real node does not carry it."""

POD_CIDR = "10.250.0.0/16"
"""Addresses of fake pods: apart from the services' and the real pods'."""


def command(program: Path, plane: ControlPlane) -> list[str | Path]:
    """The command of kwok. Without leases nodes flap to NotReady, and pods lose their Ready."""
    return [
        program,
        f"--kubeconfig={plane.kubeconfig('kwok')}",
        f"--config={plane.folder / 'kwok-stages.yaml'}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={MANAGED}=fake",
        "--node-lease-duration-seconds=40",
        f"--cidr={POD_CIDR}",
        f"--server-address={plane.address}:{plane.ports['kwok']}",
    ]


def write_stages(plane: ControlPlane) -> None:
    """Write the life cycle of fake nodes and pods: the stage files that kwok ships for it, in one file.

    Raises `UserError` when kwok's module cannot be downloaded.
    """
    stages = go_build.module_dir("kwok") / "kustomize" / "stage"
    folders = [stages / "node" / "fast", stages / "node" / "heartbeat-with-lease", stages / "pod" / "fast"]
    files = [file for folder in folders for file in sorted(folder.glob("*.yaml")) if file.name != "kustomization.yaml"]
    (plane.folder / "kwok-stages.yaml").write_text("\n---\n".join(file.read_text() for file in files))


def nodes(*, beside_real_node: bool) -> list[dict[str, Any]]:
    """The fake nodes: one plain, one with a GPU, as many as the recorded exposition of the local stack has.

    Beside a real node they are tainted and carry no operating system label, so that only pods that ask for a fake
    node come to them: what lands there seems to run and answers nobody.
    """
    gpu_labels = {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}
    return [
        _node("fake-plain", {}, {}, beside_real_node),
        _node("fake-gpu", gpu_labels, {"nvidia.com/gpu": "1"}, beside_real_node),
    ]


def _node(name: str, labels: dict[str, str], resources: dict[str, str], beside_real_node: bool) -> dict[str, Any]:
    size = {"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "200Gi", **resources}
    system = {} if beside_real_node else {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    taints = [{"key": MANAGED, "value": "fake", "effect": "NoSchedule"}] if beside_real_node else []
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {MANAGED: "fake"},
            "labels": {"kubernetes.io/hostname": name, "type": "kwok", **system, **labels},
        },
        "spec": {"taints": taints},
        "status": {"allocatable": size, "capacity": size, "nodeInfo": {"kubeletVersion": "fake"}},
    }
