"""Faults of claims and volumes."""

import json
from typing import Any

from tools.fire.cause import SLEEPS, Cause, Ground, Object, pod, pod_spec, shell
from tools.fire.workloads import UNMOUNTABLE

FULL = "/var/lib/volumes/fault-full"
"""A small file system of its own on the node, so that filling it harms nothing."""
FULL_SIZE = "16m"


def claim(**spec: Any) -> Object:
    """A claim named `fault`."""
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "fault"}, "spec": wanted}


def uses_claim(*command: str) -> Object:
    """A pod with the claim at /data."""
    spec = pod_spec(*command, volumeMounts=[{"name": "data", "mountPath": "/data"}])
    return pod({**spec, "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "fault"}}]})


def add_volume(ground: Ground, path: str, policy: str = "Retain") -> None:
    """A volume for the claim of this ground, at a path of the real node."""
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [ground.access.running.node]}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": ground.namespace},
        "spec": {
            "storageClassName": ground.namespace,
            "capacity": {"storage": "1Mi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": policy,
            "local": {"path": path},
            "claimRef": {"namespace": ground.namespace, "name": "fault"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
        },
    }
    wanted = claim(storageClassName=ground.namespace, volumeName=ground.namespace)
    wanted["metadata"]["namespace"] = ground.namespace
    for item in (volume, wanted):
        ground.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(item))


def remove_volume(ground: Ground) -> None:
    """Remove the volume of this ground, and what was mounted for it."""
    place = f"--namespace={ground.namespace}"
    ground.kubectl("delete", "pod", "fault", place, "--ignore-not-found", "--wait=true")
    ground.kubectl("delete", "persistentvolumeclaim", "fault", place, "--ignore-not-found")
    ground.kubectl("delete", "persistentvolume", ground.namespace, "--ignore-not-found")
    ground.access.running.run_on_node("sh", "-c", f"umount {FULL} 2>/dev/null; rmdir {FULL} 2>/dev/null; true")


def fill(ground: Ground) -> None:
    """Mount a small file system and let a pod fill it."""
    script = f"mkdir -p {FULL} && mount -t tmpfs -o size={FULL_SIZE},mode=1777 tmpfs {FULL}"
    ground.access.running.run_on_node("sh", "-ec", script)
    add_volume(ground, FULL)


def delete_claim(ground: Ground) -> None:
    """Delete the claim of a volume that should go with it and that nothing can delete."""
    add_volume(ground, "/var/lib/volumes/fault", "Delete")
    place = f"--namespace={ground.namespace}"
    ground.kubectl("wait", "persistentvolumeclaim/fault", "--for=jsonpath={.status.phase}=Bound", place)
    ground.kubectl("delete", "persistentvolumeclaim", "fault", place)


def fail_resize(ground: Ground) -> None:
    """Write into the claim's status what a resizer writes that fails."""
    condition = {"type": "ControllerResizeError", "status": "True", "message": "no space"}
    ground.kubectl(
        "patch",
        "persistentvolumeclaim",
        "fault",
        f"--namespace={ground.namespace}",
        "--subresource=status",
        "--type=merge",
        f"--patch={json.dumps({'status': {'conditions': [condition]}})}",
    )


FILLS = shell("dd if=/dev/zero of=/data/full bs=1M; sleep infinity")["containers"][0]["command"]

CAUSES: dict[str, Cause] = {
    "PersistentVolumeClaimPending": Cause(
        "a claim of a class that does not exist", [claim(storageClassName="nobody"), uses_claim(*SLEEPS)]
    ),
    "PersistentVolumeMountFailing": Cause(
        "a volume at a path that does not exist",
        [uses_claim(*SLEEPS)],
        start=lambda ground: add_volume(ground, "/var/lib/volumes/not-there"),
        stop=remove_volume,
    ),
    "PersistentVolumeFillingUp": Cause(
        "a pod that fills a small volume", [uses_claim(*FILLS)], start=fill, stop=remove_volume
    ),
    "PersistentVolumeFailed": Cause(
        "a volume that should be deleted and cannot be", start=delete_claim, stop=remove_volume
    ),
    "PersistentVolumeClaimResizeFailed": Cause(
        "a claim whose status says that its resize failed", [claim()], start=fail_resize
    ),
    "VolumeOperationErrors": Cause("a volume of a missing ConfigMap, tried again and again", [pod(UNMOUNTABLE)]),
}
