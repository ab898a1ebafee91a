"""A claim of the cluster as a volume: a pod of its own mounts it for as long as it is read or written."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from components import images, pods
from settings import Settings
from settings.base import Resources
from tools.backup.archive import Volume
from tools.reach import Reach

APP = "backup"
FOLDER = "/claim"
LONGEST = 6 * 3600
"""Seconds after which a forgotten pod ends by itself."""
READY_SECONDS = 180


def pod(settings: Settings, claim: str, user: int, node: str | None) -> dict[str, Any]:
    """The pod. A claim that one node alone may mount is mounted on that node, beside the daemon that uses it."""
    container = {
        "name": APP,
        # Of the stack's images the one with a shell and tar.
        "image": images.reference("alertmanager", settings),
        "command": ["sleep", str(LONGEST)],
        "resources": Resources(cpu="50m", memory="64Mi", memory_limit="256Mi").manifest(),
        "securityContext": pods.RESTRICTED_CONTAINER,
        "volumeMounts": [{"name": "claim", "mountPath": FOLDER}],
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": LONGEST,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "priorityClassName": pods.PRIORITY_CLASS,
        "securityContext": pods.restricted_pod(user),
        "containers": [container],
        "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": claim}}],
    }
    meta = pods.metadata(APP, settings.namespaces.main, f"{APP}-{claim}"[:63].rstrip("-"))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": spec | ({"nodeName": node} if node else {}),
    }


@contextmanager
def mounted(cluster: Reach, settings: Settings, claim: str, user: int, node: str | None = None) -> Iterator[Volume]:
    """The claim as a volume, for the length of the block. Raises UserError where its pod does not start."""
    item = pod(settings, claim, user, node)
    name, namespace = item["metadata"]["name"], f"--namespace={settings.namespaces.main}"
    cluster.kubectl("delete", "pod", name, namespace, "--ignore-not-found", "--wait=true")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(item, file)
        file.flush()
        cluster.kubectl("create", f"--filename={file.name}")
    try:
        cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", namespace, f"--timeout={READY_SECONDS}s")
        yield Volume(FOLDER, (*cluster.command(), "exec", "--stdin", name, namespace, "--"))
    finally:
        cluster.kubectl("delete", "pod", name, namespace, "--ignore-not-found", "--wait=false")
