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
CONFIG = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
kubeadmConfigPatches:
  - |
    kind: KubeletConfiguration
    failCgroupV1: false
"""
"""What differs from kind's own defaults: since Kubernetes 1.35 a kubelet ends at once on a machine with cgroup v1."""
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
    log = state.folder / "logs" / "kind.log"
    log.parent.mkdir(exist_ok=True)
    wanted = [f"--name={name(state.folder)}", *_kubeconfig(state), f"--wait={READY_SECONDS}s", "--config=-"]
    with progress("creating a cluster by kind"):
        _kind("create", "cluster", *wanted, stdin=CONFIG, log=log)


def exists(state: State) -> bool:
    """Whether kind knows the cluster. Raises `UserError` with kind's own words."""
    return name(state.folder) in _kind("get", "clusters").split()


def delete(state: State) -> None:
    """Delete the cluster with everything in it; nothing there: nothing to do. Raises `UserError` likewise."""
    _kind("delete", "cluster", f"--name={name(state.folder)}", *_kubeconfig(state))


def run_inside(state: State, command: list[str]) -> str:
    """Run a command in the node's container and return its output. Raises `UserError` with its error text."""
    whole = ["docker", "exec", node(state.folder), *command]
    result = subprocess.run(whole, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise UserError(f"{command[0]} in the node of kind failed: {result.stderr.strip()}")
    return result.stdout


def _kubeconfig(state: State) -> list[str]:
    return [f"--kubeconfig={parts.plane(state).kubeconfig('admin')}"]


def _kind(*arguments: str, stdin: str | None = None, log: Path | None = None) -> str:
    result = subprocess.run(["kind", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if log:
        log.write_text(result.stderr)
    if result.returncode != 0:
        more = f"\nAll that it said: {log}" if log else ""
        advice = PULL_ADVICE if "failed to pull image" in result.stderr else ""
        raise UserError(f"kind {' '.join(arguments[:2])} failed: {_reason(result.stderr)}{more}{advice}")
    return result.stdout


def _reason(said: str) -> str:
    """The lines that name an error: kubeadm's output and a Go stack trace, hundreds of lines, may be around them."""
    lines = [line.removeprefix("Command Output: ") for line in said.splitlines()]
    return "\n".join(line for line in lines if line.lower().startswith("error")) or said.strip()[-800:]
