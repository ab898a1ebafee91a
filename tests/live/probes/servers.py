"""Local servers in good and in bad states, for the probes: HTTP, TLS, TCP, gRPC health and DNS."""

import base64
import ssl
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any

import grpc  # type: ignore[import-untyped]  # Pulumi brings it, without types

from tools.fire.probes import certificate

LOCAL = "127.0.0.1"
USER, PASSWORD, TOKEN = "probe", "right", "let-me-in"
SLOW_SECONDS = 4.0
BASIC = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"

ZONE = """\
$ORIGIN {zone}.
@ 3600 IN SOA {primary} hostmaster.{zone}. 1 7200 3600 1209600 3600
@ 3600 IN NS {primary}
@ 3600 IN A 192.0.2.1
www 3600 IN A 192.0.2.2
"""
ZONES = {"good.test": "ns1.good.test.", "moved.test": "ns9.elsewhere.test."}
"""Zones with the primary server that their SOA record names; broken.test is answered with SERVFAIL."""


@dataclass(frozen=True)
class Servers:
    """Their addresses, by the name that the states use."""

    addresses: dict[str, str]
    trusted: str
    """PEM of the certificate that clients may trust."""


class Handler(BaseHTTPRequestHandler):
    """One page for each state."""

    end = threading.Event()
    """Set when the servers stop: what hangs ends then."""

    def do_GET(self) -> None:
        match self.path:
            case "/moved":
                self._answer(302, location="/ok")
            case "/login":
                self._answer(302, location="/private")
            case "/broken":
                self._answer(503)
            case "/maintenance":
                self._answer(200, "Sorry, down for maintenance")
            case "/private":
                allowed = self.headers["Authorization"] in {BASIC, f"Bearer {TOKEN}"}
                self._answer(200 if allowed else 401)
            case "/slow":
                self.end.wait(SLOW_SECONDS)
                self._answer(200)
            case "/hang":
                self.end.wait()
            case _:
                self._answer(200)

    def _answer(self, status: int, body: str = "Welcome", location: str | None = None) -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: probes come each second."""


@contextmanager
def http(folder: Path, pem: dict[str, str] | None = None) -> Iterator[str]:
    """Host and port of a web server; by TLS where it is given a certificate."""
    server = ThreadingHTTPServer((LOCAL, 0), Handler)
    server.daemon_threads = True
    if pem:
        chain = folder / f"{server.server_port}.pem"
        chain.write_text(pem["tls.key"] + pem["tls.crt"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        # The handshake belongs to the connection's own thread, not to the one that accepts.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{LOCAL}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def health(answers: bool) -> Iterator[str]:
    """Host and port of a gRPC server: with a health service, or with none at all."""

    def check(request: bytes, context: grpc.ServicerContext) -> bytes:
        # HealthCheckRequest{service: 1}, HealthCheckResponse{status: 1}; SERVING is 1, NOT_SERVING 2.
        service = request[2:].decode()
        if service not in {"", "shop", "stopped"}:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return b"\x08\x02" if service == "stopped" else b"\x08\x01"

    server = grpc.server(futures.ThreadPoolExecutor(4))
    if answers:
        methods = {"Check": grpc.unary_unary_rpc_method_handler(check)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods),))
    port = server.add_insecure_port(f"{LOCAL}:0")
    server.start()
    try:
        yield f"{LOCAL}:{port}"
    finally:
        server.stop(None).wait()


def corefile(folder: Path, port: int) -> str:
    """Configuration of a CoreDNS with the zones, which are written as files."""
    blocks = [f"broken.test:{port} {{\n  bind {LOCAL}\n  template ANY ANY {{\n    rcode SERVFAIL\n  }}\n}}\n"]
    for zone, primary in ZONES.items():
        file = folder / f"{zone}.zone"
        file.write_text(ZONE.format(zone=zone, primary=primary))
        blocks.append(f"{zone}:{port} {{\n  bind {LOCAL}\n  file {file}\n}}\n")
    return "".join(blocks)


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Every server but DNS, all on free loopback ports."""
    Handler.end.clear()
    good = certificate(90, LOCAL)
    certificates = {"https": good, "old": certificate(-3, LOCAL), "soon": certificate(3, LOCAL)}
    with ExitStack() as running:
        addresses = {"http": running.enter_context(http(folder))}
        addresses |= {name: running.enter_context(http(folder, pem)) for name, pem in certificates.items()}
        addresses |= {"grpc": running.enter_context(health(True)), "no-health": running.enter_context(health(False))}
        # Bound, so that nobody else gets the port, and not listening.
        refused = running.enter_context(socket())
        refused.bind((LOCAL, 0))
        addresses["refused"] = f"{LOCAL}:{refused.getsockname()[1]}"
        silent = running.enter_context(socket(AF_INET, SOCK_DGRAM))
        silent.bind((LOCAL, 0))
        addresses["silent"] = f"{LOCAL}:{silent.getsockname()[1]}"
        running.callback(Handler.end.set)
        yield Servers(addresses, "".join(pem["tls.crt"] for pem in certificates.values()))
