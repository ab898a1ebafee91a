"""The control plane's daemons and kwok, started one by one in the cluster's place: on loopback or in a namespace."""

from collections.abc import Sequence
from pathlib import Path

from tools import binaries, ports
from tools.cluster import control_plane, fake_nodes, namespaces
from tools.cluster.control_plane import DEFAULT_PORTS, ControlPlane
from tools.cluster.state import Mode, State

LOOPBACK = "127.0.0.1"
COMMANDS = {
    "etcd": control_plane.etcd,
    "kube-apiserver": control_plane.api_server,
    "kube-controller-manager": control_plane.controller_manager,
    "kube-scheduler": control_plane.scheduler,
    "kwok": fake_nodes.command,
}


def plane(state: State) -> ControlPlane:
    """Where the control plane of this cluster keeps its files and listens."""
    if state.mode == "real":
        return ControlPlane(state.folder, "0.0.0.0", namespaces.NODE_ADDRESS, DEFAULT_PORTS)  # noqa: S104 in a namespace
    return ControlPlane(state.folder, LOOPBACK, LOOPBACK, state.ports)


def free_ports(mode: Mode) -> dict[str, int]:
    """Free ports on this machine's loopback device: one for every part, or the API server's alone for a real node.

    Another program may take one before we do: then start again. kind chooses its own.
    """
    names = {"real": ["api"], "kind": [], "fake": list(DEFAULT_PORTS)}[mode]
    return dict(zip(names, ports.free_ports(len(names)), strict=True))


def prepare(state: State, node: str | None) -> None:
    """Find or build the programs, and write certificates, kubeconfigs and kwok's stages, unless that is done."""
    for name in (*COMMANDS, "kubectl"):
        binaries.find(name)
    here = plane(state)
    if not here.kubeconfig("kwok").exists():
        fake_nodes.write_stages(here)
        control_plane.write_credentials(here, node, f"https://{LOOPBACK}:{state.ports['api']}")


def start(state: State, *names: str) -> None:
    """Start those of the named parts that do not run, and record them."""
    for name in names:
        start_command(state, name, COMMANDS[name](binaries.find(name), plane(state)))


def start_command(state: State, name: str, command: Sequence[str | Path]) -> None:
    """Start one part with this command, in the cluster's namespaces where it has some, unless it runs."""
    enter = namespaces.enter(state) if state.mode == "real" else []
    state.start(name, [*enter, *command], wrapped=bool(enter))
