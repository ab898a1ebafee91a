"""The real node: containerd, kubelet and kube-proxy."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tools import binaries
from tools.cluster import namespaces, packages, parts, processes
from tools.cluster.control_plane import DNS_ADDRESS, POD_CIDR, SERVICE_CIDR, ControlPlane
from tools.cluster.state import State

NAME = "local"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "registry.k8s.io/pause:3.10.1"
CONTAINERD_SECONDS = 60


def prepare(state: State) -> None:
    """Find, install or build what the node needs, and make the namespaces. Raises `UserError` if that fails."""
    packages.ensure()
    for name in ("kubelet", "kube-proxy"):
        binaries.find(name)
    if not namespaces.exist(state):
        namespaces.create(state, SERVICE_CIDR)


def start_containerd(state: State) -> None:
    """Start containerd and wait for its answer."""
    plane = parts.plane(state)
    configs = plane.folder / "node"
    (configs / "containerd.toml").write_text(containerd_config(configs, overlay=_overlay_works(configs)))
    (configs / "cni").mkdir(exist_ok=True)
    (configs / "cni" / "10-local.conflist").write_text(json.dumps(cni_config(), indent=1))
    (configs / "kubelet.yaml").write_text(yaml.safe_dump(kubelet_config(plane)))
    (configs / "kube-proxy.yaml").write_text(yaml.safe_dump(kube_proxy_config(plane)))
    (configs / "resolv.conf").write_text(f"nameserver {DNS_ADDRESS}\n")
    parts.start_command(state, "containerd", ["containerd", f"--config={configs / 'containerd.toml'}"])
    processes.wait_for(
        "answer of containerd", lambda: _containerd_answers(state), CONTAINERD_SECONDS, [state.parts["containerd"]]
    )


def start_kubelet(state: State) -> None:
    """Start kubelet and kube-proxy."""
    plane = parts.plane(state)
    configs = plane.folder / "node"
    kubelet: list[str | Path] = [
        binaries.find("kubelet"),
        f"--config={configs / 'kubelet.yaml'}",
        f"--kubeconfig={plane.kubeconfig('kubelet')}",
        f"--hostname-override={NAME}",
        f"--node-ip={plane.address}",
    ]
    parts.start_command(state, "kubelet", kubelet)
    parts.start_command(state, "kube-proxy", [binaries.find("kube-proxy"), f"--config={configs / 'kube-proxy.yaml'}"])


def containerd_config(folder: Path, *, overlay: bool) -> str:
    """The configuration of containerd (1.6 and later), as TOML.

    `restrict_oom_score_adj`: lowering a score is refused on some machines, and then no pod starts.
    """
    plugins = next((path for path in packages.CNI_FOLDERS if (path / "ptp").exists()), packages.CNI_FOLDERS[0])
    return f"""version = 2
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{"overlayfs" if overlay else "native"}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{folder / "cni"}"
"""


def cni_config() -> dict[str, Any]:
    """The pod network: a routed link a pod, so that every packet passes kube-proxy's rules without a bridge's help."""
    ranges = [[{"subnet": POD_CIDR}]]
    ipam = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni"}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "local", "plugins": [{"type": "ptp", "ipam": ipam}, ports]}


STATIC_PODS = Path("node") / "static-pods"
"""Folder below the cluster's: a pod's file there is started by kubelet alone."""


def kubelet_config(plane: ControlPlane) -> dict[str, Any]:
    """The configuration of kubelet. Images are never collected: a local build cannot be pulled again."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(plane.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(plane.pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(plane.pki / "kubelet-server.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        # Pods get their limits; what is missing is the node's own accounting, which needs the whole cgroup tree.
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(plane.folder / "node" / "resolv.conf"),
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "serializeImagePulls": False,
        "volumePluginDir": "/var/lib/kubelet/volumeplugins",
        "staticPodPath": str(plane.folder / STATIC_PODS),
    }


def kube_proxy_config(plane: ControlPlane) -> dict[str, Any]:
    """The configuration of kube-proxy. The connection tracker's size belongs to the machine: it is left alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": NAME,
        "clientConnection": {"kubeconfig": str(plane.kubeconfig("kube-proxy"))},
        "conntrack": {"maxPerCore": 0, "min": 0},
        "metricsBindAddress": "0.0.0.0:10249",
        "healthzBindAddress": "0.0.0.0:10256",
    }


def _containerd_answers(state: State) -> bool:
    command = [*namespaces.enter(state), "ctr", "--connect-timeout=1s", "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _overlay_works(folder: Path) -> bool:
    """Whether this file system can hold an overlay; else containerd copies every layer."""
    probe = folder / "overlay-probe"
    for name in ("lower", "upper", "work", "merged"):
        (probe / name).mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={probe / 'lower'},upperdir={probe / 'upper'},workdir={probe / 'work'}"
    command = ["unshare", "--mount", "mount", "-t", "overlay", "overlay", "-o", options, str(probe / "merged")]
    works = subprocess.run(command, capture_output=True, check=False).returncode == 0
    shutil.rmtree(probe)
    return works
