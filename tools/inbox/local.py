"""The inbox on the local cluster, with a Service so that pods find it.

It is a process that listens on the real node; where kind made the cluster, a pod.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from tools.cluster import Cluster, namespaces, parts
from tools.inbox.serve import HTTP_PORT, SMTP_PORT
from tools.synth import ROOT

NAME = "inbox"
HOST = f"{NAME}.{NAME}.svc.cluster.local"
FILE = "inbox.jsonl"
IMAGE = "docker.io/library/python:3.13-alpine"
PORTS = {"http": HTTP_PORT, "smtp": SMTP_PORT}


def start(running: Cluster) -> None:
    """Start the inbox of a cluster on which containers run, unless it runs."""
    by_kind = running.mode == "kind"
    wanted = pod_objects() if by_kind else objects()
    running.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=yaml.safe_dump_all(wanted))
    if by_kind:
        return
    command: list[str | Path] = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tools.inbox.serve"]
    listen = [f"--address={namespaces.NODE_ADDRESS}", f"--file={running.state.folder / FILE}"]
    parts.start_command(running.state, NAME, [*command, *listen])


def secret(key: str) -> str:
    """What stands for a secret that the stack file does not hold: an address of the inbox, or a word.

    A key that ends in Url is a webhook's, all others are tokens and passwords, which the inbox does not check.
    """
    name = key.removesuffix("Url")
    return f"http://{HOST}:{HTTP_PORT}/webhook/{name}" if name != key else f"local-{key}"


def pod_objects() -> list[dict[str, Any]]:
    """Namespace, Service and a pod that runs the same program from a ConfigMap; it needs nothing but Python."""
    files = [path for path in Path(__file__).parent.iterdir() if path.suffix in {".py", ".html"}]
    sources = {path.name: path.read_text(encoding="utf-8") for path in files}
    meta, labels = {"name": NAME, "namespace": NAME}, {"app": NAME}
    container = {
        "name": NAME,
        "image": IMAGE,
        "command": ["python", "-m", "tools.inbox.serve", "--address=0.0.0.0", f"--file=/data/{FILE}"],
        "env": [{"name": "PYTHONPATH", "value": "/app"}],
        "ports": [{"name": name, "containerPort": port} for name, port in PORTS.items()],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 2},
        "volumeMounts": [{"name": "sources", "mountPath": "/app/tools/inbox"}, {"name": "data", "mountPath": "/data"}],
    }
    volumes = [{"name": "sources", "configMap": {"name": NAME}}, {"name": "data", "emptyDir": {}}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}}
    ports = [{"name": name, "port": port} for name, port in PORTS.items()]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": sources},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels, "ports": ports}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {"selector": {"matchLabels": labels}, "strategy": {"type": "Recreate"}, "template": template},
        },
    ]


def objects() -> list[dict[str, Any]]:
    """Namespace, Service and its addresses: the process on the node is no pod."""
    meta = {"name": NAME, "namespace": NAME, "labels": {"kubernetes.io/service-name": NAME}}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": NAME},
            "spec": {"ports": [{"name": name, "port": port} for name, port in PORTS.items()]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": meta,
            "addressType": "IPv4",
            "ports": [{"name": name, "port": port} for name, port in PORTS.items()],
            "endpoints": [{"addresses": [namespaces.NODE_ADDRESS], "conditions": {"ready": True}}],
        },
    ]
