"""Start, status and stop of the local cluster, real or with fake nodes only."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import addons, forwards, images, kind, namespaces, node, parts, processes
from tools.cluster.control_plane import DEFAULT_PORTS
from tools.cluster.kubectl import answers, kubectl, not_ready_nodes
from tools.cluster.processes import Process
from tools.cluster.state import Mode, State, load, locked
from tools.console import UserError, progress, say

API_SECONDS = 180
NODE_SECONDS = 120
"""Both are for a busy machine; an idle one needs five seconds for a fake cluster, twenty for a real one."""
PORT_ATTEMPTS = 3


@dataclass(frozen=True)
class Cluster:
    """A running local cluster."""

    state: State

    @property
    def mode(self) -> Mode:
        """`real`: one real node, two fake ones. `kind`: one in Docker. `fake`: fake nodes only, no container runs."""
        return self.state.mode

    @property
    def node(self) -> str:
        """The name of the node that runs containers."""
        return kind.node(self.state.folder) if self.mode == "kind" else node.NAME

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of an administrator, good on this machine."""
        return parts.plane(self.state).kubeconfig("admin")

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl against it and return the output. Raises `UserError` with kubectl's own message."""
        return kubectl(self.kubeconfig, *arguments, stdin=stdin)

    def forward(self, listen: int, host: str, port: int) -> None:
        """Lead 127.0.0.1:`listen` of this machine to an address inside, until the cluster is stopped.

        `host` is the address of the node, a pod or a Service; of a cluster by kind a Service's `namespace/name`.
        Raises `UserError` when the port is taken.
        """
        forwards.lead(self.state, listen, host, port)

    def reopen_forward(self, listen: int) -> None:
        """Open a forwarded port again, if what leads there ended. Raises `UserError` where that fails."""
        forwards.reopen(self.state, listen)

    def run_on_node(self, *command: str) -> str:
        """Run a command where the files and mounts of the node that runs containers are, and return its output.

        Raises `UserError` with its error text.
        """
        run_inside = kind.run_inside if self.mode == "kind" else namespaces.run_inside
        return run_inside(self.state, list(command))

    def ensure_images(self, references: Iterable[str]) -> images.Brought:
        """Bring images onto the real node, pulled or assembled; kind's node pulls by itself.

        Raises `UserError` when one cannot be assembled.
        """
        return images.Brought() if self.mode == "kind" else images.ensure(self.state, references)


def start(folder: Path, *, fake_nodes_only: bool = False) -> Cluster:
    """Start a cluster whose files lie in `folder`, or what is missing of it; returns when its nodes are Ready.

    A real node where the machine can have one, else one in Docker by kind, else fake nodes only; it says which and why.
    Raises `UserError` when a part does not start, or when a cluster of the other kind runs in this folder.
    """
    folder = folder.absolute()
    with locked(folder):
        state = _running(folder, fake_nodes_only)
        if state and state.ready and not state.dead and answers(parts.plane(state).kubeconfig("admin")):
            say(f"The local cluster ({state.mode}) already runs; nothing to do.")
            return Cluster(state)
        if state:
            say(f"The local cluster is not whole; going on with it. Ended parts: {', '.join(state.dead) or 'none'}.")
            _start_parts(state)
            return Cluster(state)
        return Cluster(_start_new(folder, _mode(fake_nodes_only)))


def stop(folder: Path) -> None:
    """End every process of the cluster in `folder` and delete its files. Nothing there: nothing to do."""
    folder = folder.absolute()
    with locked(folder):
        state = load(folder)
        if state is None:
            say(f"No local cluster is recorded in {folder}; nothing to do.")
            return
        with progress("stopping the local cluster"):
            _remove(state)


def status(folder: Path) -> list[str]:
    """One line a part, and one for the nodes that are not Ready; an empty list when none was started."""
    state = load(folder.absolute())
    if state is None:
        return []
    lines = [f"{name}: {'runs' if part.alive else 'ended, see ' + part.log}" for name, part in state.parts.items()]
    kubeconfig = parts.plane(state).kubeconfig("admin")
    if not answers(kubeconfig):
        return [*lines, "API server: no answer"]
    return [*lines, f"nodes not Ready: {', '.join(_not_ready(state)) or 'none'}"]


@contextmanager
def fake(folder: Path) -> Iterator[Cluster]:
    """A cluster of fake nodes for the length of a test, its files below `folder`."""
    try:
        yield start(folder / "cluster", fake_nodes_only=True)
    finally:
        stop(folder / "cluster")


def _mode(fake_nodes_only: bool) -> Mode:
    if fake_nodes_only:
        return "fake"
    reason = namespaces.why_not()
    if reason and (neither := kind.why_not()):
        say(f"No real node here: {reason}; and none by kind: {neither}.")
        say("The local cluster gets fake nodes only: objects are real, no container runs, no alert arrives.")
        return "fake"
    if reason:
        say(f"No real node in namespaces of this machine: {reason}. kind makes the local cluster, in Docker.")
        return "kind"
    say("The local cluster gets a real node: containerd and kubelet, in namespaces of their own, and two fake nodes.")
    return "real"


def _running(folder: Path, fake_nodes_only: bool) -> State | None:
    """The recorded cluster if it can go on; what is left of one that cannot is removed."""
    state = load(folder)
    if state is None:
        return None
    if fake_nodes_only and state.mode != "fake":
        raise UserError(f"a cluster with a real node runs in {folder}; stop it first: python -m tools.cluster down")
    if state.mode == "real" and not namespaces.exist(state):
        say("An earlier start did not get far, or the machine was started again since: starting anew.")
        _remove(state)
        return None
    if state.mode == "kind" and not (state.ready and kind.exists(state) and _comes_up(state)):
        say("The cluster of kind is gone or does not answer: starting anew.")
        _remove(state)
        return None
    return state


def _comes_up(state: State) -> bool:
    """Whether the API server answers within its time: Docker starts kind's node again, and it needs a while."""
    admin = parts.plane(state).kubeconfig("admin")
    try:
        with progress("waiting for an answer of the cluster of kind"):
            processes.wait_for("answer of the API server", lambda: answers(admin), API_SECONDS, [])
    except UserError:
        return False
    return True


def _start_new(folder: Path, mode: Mode) -> State:
    for attempt in range(1, PORT_ATTEMPTS + 1):
        folder.mkdir(parents=True, exist_ok=True)
        state = State(folder, mode, parts.free_ports(mode))
        state.save()
        try:
            _start_parts(state)
        except UserError as error:
            if "address already in use" not in str(error) or attempt == PORT_ATTEMPTS:
                raise
            say("Another program took a port meanwhile; starting again with other ports.")
            _remove(state)
        else:
            break
    return state


def _start_parts(state: State) -> None:
    """Start every part that does not run, in order, and wait until the nodes are Ready."""
    if state.mode == "kind":
        _start_kind(state)
        return
    state.ready = False
    real = state.mode == "real"
    parts.prepare(state, node.NAME if real else None)
    if real:
        node.prepare(state)
    parts.start(state, "etcd", "kube-apiserver")
    if real:
        wanted = {str(state.ports["api"]): (namespaces.NODE_ADDRESS, DEFAULT_PORTS["api"]), **state.forwards}
        for listen, (host, port) in wanted.items():
            forwards.lead(state, int(listen), host, port)
        node.start_containerd(state)
        images.ensure(state, [node.PAUSE_IMAGE, addons.COREDNS_IMAGE])
    admin = parts.plane(state).kubeconfig("admin")
    with progress("starting the API server"):
        processes.wait_for(
            "answer of the API server", lambda: answers(admin), API_SECONDS, _only(state, "etcd", "kube-apiserver")
        )
    parts.start(state, "kube-controller-manager", "kube-scheduler", "kwok")
    if real:
        node.start_kubelet(state)
    addons.apply(state)
    with progress("waiting for the nodes"):
        processes.wait_for("Ready nodes", lambda: not _not_ready(state), NODE_SECONDS, state.running())
    if real:
        addons.wait(state)
    state.ready = True
    state.save()


def _start_kind(state: State) -> None:
    if not state.ready:
        kind.create(state)
    state.ready = True
    state.save()


def _not_ready(state: State) -> list[str]:
    return not_ready_nodes(parts.plane(state).kubeconfig("admin"), [node.NAME] if state.mode == "real" else [])


def _only(state: State, *names: str) -> list[Process]:
    return [state.parts[name] for name in names]


def _remove(state: State) -> None:
    processes.kill(state.parts.values())
    if state.mode == "real":
        namespaces.clean()
    elif state.mode == "kind":
        kind.delete(state)
    shutil.rmtree(state.folder)
