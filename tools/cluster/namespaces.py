"""The namespaces in which a cluster with a real node lives: network, mounts and processes of its own.

The first process in them holds them. When it is killed the kernel kills every process in them, shims and pods
included, and with the last process go the mounts, the network devices and the firewall rules.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.cluster import processes
from tools.cluster.state import State
from tools.console import UserError

HOLDER = "namespaces"
NODE_ADDRESS = "10.213.0.2"
"""The node's address. It exists in the namespace only, so it collides with nothing outside."""

CGROUP = "k8s.io"
"""The cgroup, below the root of each hierarchy, in which containerd puts every container that kubelet asks for."""
CGROUP_SECONDS = 20
HOLDER_SECONDS = 60

# Paths that kubelet, containerd and log agents use by habit become folders of ours, for the processes inside only.
# The route to the Services lets programs on the node, too, reach what kube-proxy translates. There is no way out.
# What begins before kube-proxy has written a Service's rules is dropped and not sent on. Sent on, it would be tracked
# as it is, its repetitions would never be translated, and the client would get "No route to host" after three seconds.
SETUP = """
mount --make-rshared /
mount -t tmpfs tmpfs /run
mkdir -p "$1/node/lib" "$1/node/log"
for folder in lib log; do
  mount --bind "$1/node/$folder" "/var/$folder"
  mount --make-private "/var/$folder"
  mount --make-shared "/var/$folder"
done
ip link set lo up
ip link add eth0 type veth peer name outside
ip address add "$2/24" dev eth0
ip link set eth0 up
ip link set outside up
ip route add "$3" dev eth0
iptables --table mangle --append POSTROUTING --destination "$3" --jump DROP
echo 1 > /proc/sys/net/ipv4/ip_forward
"""


def why_not() -> str | None:
    """Why this machine cannot have a real node, in words for a person; None when it can."""
    if sys.platform != "linux":
        return "this is not Linux"
    if os.geteuid() != 0:
        return "you are not root"
    probe = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "true"]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        return "root may not make namespaces here (a container without privileges?)"
    return None


def exist(state: State) -> bool:
    """Whether the process that holds the namespaces still runs."""
    return HOLDER in state.parts and state.parts[HOLDER].alive


def create(state: State, service_cidr: str) -> None:
    """Make the namespaces and set up network and mounts in them. Raises `UserError` when a step fails."""
    holder: list[str | Path] = [sys.executable, Path(__file__).parent / "holder.py"]
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"]
    state.start(HOLDER, [*unshare, *holder], wrapped=True)
    process = state.parts[HOLDER]
    processes.wait_for("namespaces", lambda: "holding" in Path(process.log).read_text(), HOLDER_SECONDS, [process])
    try:
        run_inside(state, ["sh", "-ec", SETUP, "setup", str(state.folder), NODE_ADDRESS, service_cidr])
    except UserError:
        processes.kill([process])
        raise


def enter(state: State) -> list[str | Path]:
    """The start of a command line that runs the rest of it in the namespaces."""
    return ["nsenter", f"--target={state.parts[HOLDER].pid}", "--net", "--mount", "--pid"]


def run_inside(state: State, command: list[str], stdin: bytes | None = None) -> str:
    """Run a command in the namespaces and return its output. Raises `UserError` with its error text."""
    whole = [str(argument) for argument in [*enter(state), *command]]
    result = subprocess.run(whole, input=stdin, capture_output=True, check=False)
    if result.returncode != 0:
        raise UserError(f"{command[0]} in the local cluster failed: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout.decode(errors="replace")


def clean() -> None:
    """Remove the containers' cgroups, the one thing of a killed cluster that outlives its namespaces."""
    processes.wait_for("removal of the containers' cgroups", _without_cgroups, CGROUP_SECONDS, [])


def _without_cgroups() -> bool:
    """Remove the empty ones; those with processes belong to another containerd of this machine.

    A cgroup is busy for a moment after its last process: then the answer is false.
    """
    busy = False
    for hierarchy in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")]:
        for folder, _, _ in os.walk(hierarchy / CGROUP, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                busy = busy or not any(path.read_text().strip() for path in Path(folder).rglob("cgroup.procs"))
    return not busy
