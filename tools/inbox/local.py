"""The inbox on the local cluster: a part of it that listens on the real node, with a Service so that pods find it."""

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
PORTS = {"http": HTTP_PORT, "smtp": SMTP_PORT}


def start(running: Cluster) -> None:
    """Start the inbox of a cluster with a real node, unless it runs."""
    running.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=yaml.safe_dump_all(objects()))
    command: list[str | Path] = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tools.inbox.serve"]
    listen = [f"--address={namespaces.NODE_ADDRESS}", f"--file={running.state.folder / FILE}"]
    parts.start_command(running.state, NAME, [*command, *listen])


def secret(key: str) -> str:
    """What stands for a secret that the stack file does not hold: an address of the inbox, or a word.

    A key that ends in Url is a webhook's, all others are tokens and passwords, which the inbox does not check.
    """
    name = key.removesuffix("Url")
    return f"http://{HOST}:{HTTP_PORT}/webhook/{name}" if name != key else f"local-{key}"


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
