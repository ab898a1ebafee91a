"""kubectl against one kubeconfig."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools import binaries
from tools.console import UserError


def kubectl(kubeconfig: Path, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl and return its output. Raises `UserError` with kubectl's own message."""
    command = [str(binaries.find("kubectl")), f"--kubeconfig={kubeconfig}", *arguments]
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise UserError(f"kubectl {' '.join(arguments)} failed: {result.stderr.strip()}")
    return result.stdout


def answers(kubeconfig: Path) -> bool:
    """Whether the API server says that it is ready."""
    try:
        return kubectl(kubeconfig, "get", "--raw=/readyz", "--request-timeout=2s") == "ok"
    except UserError:
        return False


def not_ready_nodes(kubeconfig: Path, expected: Iterable[str]) -> list[str]:
    """The names of the nodes without a Ready condition that is true; of those `expected` also when they do not exist.

    A kubelet that ends at its start registers no node: then all that are there are Ready.
    """
    items: list[dict[str, Any]] = json.loads(kubectl(kubeconfig, "get", "nodes", "--output=json"))["items"]
    ready = {node["metadata"]["name"]: _ready(node) for node in items}
    return [name for name, is_ready in {**dict.fromkeys(expected, False), **ready}.items() if not is_ready]


def _ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
