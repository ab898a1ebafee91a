"""Ports of this machine that lead into the local cluster: by a forwarder into its namespaces, or by kubectl."""

import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from tools import binaries
from tools.cluster import namespaces, parts, processes
from tools.cluster.state import State
from tools.console import UserError

SECONDS = 30
POD_SECONDS = 60
"""How long a pod may take to be there: after a new start of kind's node a Service may name one that is not yet."""
POLL_SECONDS = 0.5


def lead(state: State, listen: int, host: str, port: int) -> None:
    """Lead 127.0.0.1:`listen` of this machine to `host`:`port` inside, until the cluster is stopped.

    `host` is the address of the node, a pod or a Service; of a cluster by kind a Service's `namespace/name`.
    Raises `UserError` when the port is taken, or when what leads there ends.
    """
    name = f"forward-{listen}"
    if name in state.parts and state.parts[name].alive:
        return
    try:
        socket.create_server(("127.0.0.1", listen)).close()
    except OSError as error:
        raise UserError(f"port {listen} of this machine is taken by another program ({error}); free it.") from error
    state.forwards[str(listen)] = (host, port)
    deadline = time.monotonic() + (POD_SECONDS if state.mode == "kind" else 0)
    while True:
        state.start(name, _command(state, listen, host, port))
        try:
            processes.wait_for(f"listening on port {listen}", lambda: _listens(listen), SECONDS, [state.parts[name]])
        except UserError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return


def reopen(state: State, listen: int) -> None:
    """Open a port again whose process ended; one that was never led anywhere is left alone. Raises as `lead`."""
    if str(listen) in state.forwards:
        lead(state, listen, *state.forwards[str(listen)])


def _command(state: State, listen: int, host: str, port: int) -> list[str | Path]:
    if state.mode == "kind":
        namespace, _, service = host.partition("/")
        # It leads to one pod of the Service and ends at the first call after that pod: then it is to be opened again.
        kubectl: list[str | Path] = [binaries.find("kubectl"), f"--kubeconfig={parts.plane(state).kubeconfig('admin')}"]
        return [*kubectl, "port-forward", f"--namespace={namespace}", f"service/{service}", f"{listen}:{port}"]
    holder = str(state.parts[namespaces.HOLDER].pid)
    return [sys.executable, Path(__file__).parent / "forwarder.py", holder, str(listen), host, str(port)]


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
