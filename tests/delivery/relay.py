"""A relay before a port, that can be cut: a network that parts and heals, without any right over the network."""

import contextlib
import socket
import threading


class Relay:
    """Forwards TCP connections and UDP packets from one port of loopback to another while it is not cut."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self.open: list[socket.socket] = []
        self.heal()

    def heal(self) -> None:
        """Listen, and forward what comes."""
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.packets.bind(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        threading.Thread(target=self._forward, args=(self.packets,), daemon=True).start()

    def cut(self) -> None:
        """Listen no longer, and end every connection."""
        for connection in [self.listener, self.packets, *self.open]:
            _close(connection)

    def _forward(self, packets: socket.socket) -> None:
        # Gossip puts the address for the answer into the packet: nothing has to come back this way.
        with contextlib.suppress(OSError):
            while data := packets.recv(65536):
                packets.sendto(data, ("127.0.0.1", self.target))

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                _close(client)
                continue
            server.settimeout(None)
            self.open += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for connection in (source, sink):
            _close(connection)
            # The other direction may be the first.
            with contextlib.suppress(ValueError):
                self.open.remove(connection)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
