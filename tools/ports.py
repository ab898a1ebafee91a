"""Ports of loopback, for daemons that are told theirs before they start."""

import random
import socket
import threading

from tools.console import UserError

LOOPBACK = "127.0.0.1"
PORTS = range(10_000, 30_000)
"""Below the ports that Linux and macOS give to outgoing connections, and to whoever asks for any: nobody takes one by
chance between the look and the start of its daemon, or while a daemon is down."""
_given: set[int] = set()
_giving = threading.Lock()


def free_ports(count: int) -> list[int]:
    """So many ports that nobody has, neither by TCP nor by UDP. No port is given twice by one process.

    Raises UserError where there are fewer.
    """
    found: list[int] = []
    with _giving:
        for port in random.sample(PORTS, len(PORTS)):
            if len(found) == count:
                break
            if port not in _given and _is_free(port):
                found.append(port)
        _given.update(found)
    if len(found) < count:
        raise UserError(
            f"{count} free ports are needed between {PORTS.start} and {PORTS.stop}, and {len(found)} are there"
        )
    return found


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True
