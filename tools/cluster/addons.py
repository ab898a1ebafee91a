"""What a cluster needs besides its daemons: fake nodes, volumes and, where containers run, cluster DNS."""

from pathlib import Path
from string import Template
from typing import Any

import yaml

from tools.cluster import fake_nodes, node, parts
from tools.cluster.control_plane import DNS_ADDRESS
from tools.cluster.kubectl import kubectl
from tools.cluster.state import State
from tools.console import progress

COREDNS_IMAGE = "registry.k8s.io/coredns/coredns:v1.15.0"
STORAGE_CLASS = "local"
VOLUMES = 40
VOLUME_SIZE = "200Gi"
"""What a volume claims to hold, so that any claim fits; nothing enforces it."""
DNS_SECONDS = 180


def apply(state: State) -> None:
    """Create the fake nodes, the default storage class with its volumes, and cluster DNS where there is a real node.

    Raises `UserError` with kubectl's message.
    """
    real = state.mode == "real"
    config = parts.plane(state).kubeconfig("admin")
    # A node's status, such as its GPUs, is taken at creation only; server-side apply would drop it.
    have = kubectl(config, "get", "nodes", "--output=name").split()
    new = [item for item in fake_nodes.nodes(beside_real_node=real) if f"node/{item['metadata']['name']}" not in have]
    if new:
        kubectl(config, "create", "--filename=-", stdin=yaml.safe_dump_all(new))
    owner = node.NAME if real else "fake-plain"
    objects = yaml.safe_dump_all([storage_class(), *(volume(number, owner) for number in range(VOLUMES))])
    if real:
        for number in range(VOLUMES):
            folder = state.folder / "node" / "lib" / "volumes" / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            # As in a cloud's volume, whoever the pod runs as may write.
            folder.chmod(0o777)
        objects += "---\n" + coredns()
    with progress("creating volumes and cluster DNS" if real else "creating volumes"):
        kubectl(config, "apply", "--server-side", "--force-conflicts", "--filename=-", stdin=objects)


def wait(state: State) -> None:
    """Wait until cluster DNS answers. Raises `UserError` when it does not in time."""
    config = parts.plane(state).kubeconfig("admin")
    with progress("waiting for cluster DNS"):
        limit = f"--timeout={DNS_SECONDS}s"
        kubectl(config, "--namespace=kube-system", "rollout", "status", "deployment/coredns", limit)


def coredns() -> str:
    """The objects of cluster DNS as YAML documents."""
    text = (Path(__file__).parent / "manifests" / "coredns.yaml").read_text()
    return Template(text).substitute(COREDNS_IMAGE=COREDNS_IMAGE, DNS_ADDRESS=DNS_ADDRESS)


def storage_class() -> dict[str, Any]:
    """The default storage class. Nothing provisions: claims are bound to the volumes made beforehand."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Retain",
    }


def volume(number: int, owner: str) -> dict[str, Any]:
    """A `local` volume on the node `owner`; unlike a hostPath it gets the pod's fsGroup and reports its usage."""
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [owner]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"local-{number:02}"},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "capacity": {"storage": VOLUME_SIZE},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": f"/var/lib/volumes/{number}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
        },
    }
