"""Forwards TCP from a port on this machine's loopback device to an address inside a network namespace.

`python -m tools.cluster.forwarder PID LISTEN_PORT HOST PORT`: it listens outside, then enters the network namespace
of process PID and connects from there. So no device, route or firewall rule is needed outside.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
from pathlib import Path

CLONE_NEWNET = 0x40000000
CHUNK = 65536


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, then say so to the other side, which may go on sending."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def serve(listener: socket.socket, host: str, port: int) -> None:
    """Forward every connection to `listener` until cancelled."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError as error:
            print(f"{host}:{port}: {error}", file=sys.stderr, flush=True)
            writer.close()
            return
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
        far_writer.close()
        writer.close()

    server = await asyncio.start_server(forward, sock=listener)
    await server.serve_forever()


def enter_network(pid: int) -> None:
    """Move this process into the network namespace of another; its sockets stay where they are. Raises `OSError`."""
    with Path(f"/proc/{pid}/ns/net").open() as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main() -> None:
    """Listen, enter, forward."""
    pid, listen, host, port = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", int(listen)), backlog=128)
    enter_network(int(pid))
    asyncio.run(serve(listener, host, int(port)))


if __name__ == "__main__":
    main()
