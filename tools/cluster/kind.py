"""The local cluster where this machine cannot have a node in namespaces: kind makes one in a container of Docker.

See https://kind.sigs.k8s.io. Its node pulls images by itself: nothing is assembled for it. No fake nodes are beside it.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path

from tools.cluster import parts
from tools.cluster.state import State
from tools.console import UserError, progress

READY_SECONDS = 300
DOCKER_SECONDS = 20
PULL_ADVICE = (
    "\nLet Docker reach a registry (registry-mirrors in its daemon.json will do) and run it again, or go on with fake "
    "nodes only: python -m tools.up up --fake-nodes"
)


def why_not() -> str | None:
    """Why kind cannot make a cluster here, in words for a person; None when it can."""
    if not shutil.which("docker"):
        return "no docker is on PATH"
    if not shutil.which("kind"):
        return "Docker is here, but no kind is on PATH (https://kind.sigs.k8s.io)"
    try:
        answer = subprocess.run(["docker", "info"], capture_output=True, timeout=DOCKER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return "docker does not answer"
    return None if answer.returncode == 0 else "docker does not answer (is its daemon started, may you use it?)"


def name(folder: Path) -> str:
    """The name of the cluster whose files lie in `folder`: another folder's is another one."""
    return f"observability-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def node(folder: Path) -> str:
    """The name of its one node."""
    return f"{name(folder)}-control-plane"


def create(state: State) -> None:
    """Create the cluster and wait until its node is Ready. Raises `UserError` with kind's own words."""
    with progress("creating a cluster by kind"):
        _kind("create", "cluster", f"--name={name(state.folder)}", *_kubeconfig(state), f"--wait={READY_SECONDS}s")


def exists(state: State) -> bool:
    """Whether kind knows the cluster. Raises `UserError` with kind's own words."""
    return name(state.folder) in _kind("get", "clusters").split()


def delete(state: State) -> None:
    """Delete the cluster with everything in it; nothing there: nothing to do. Raises `UserError` likewise."""
    _kind("delete", "cluster", f"--name={name(state.folder)}", *_kubeconfig(state))


def _kubeconfig(state: State) -> list[str]:
    return [f"--kubeconfig={parts.plane(state).kubeconfig('admin')}"]


def _kind(*arguments: str) -> str:
    result = subprocess.run(["kind", *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        advice = PULL_ADVICE if "failed to pull image" in result.stderr else ""
        raise UserError(f"kind {' '.join(arguments[:2])} failed: {result.stderr.strip()[-800:]}{advice}")
    return result.stdout
