"""Services that receive messages, as far as Alertmanager speaks with them: HTTP, and SMTP with STARTTLS and AUTH."""

import base64
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from time import monotonic
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Request:
    """One HTTP request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at: float = field(default_factory=monotonic)


Answer = tuple[int, Any]


class HttpSink:
    """Keeps every request. `answer` decides what is sent back: a status, and a text or what becomes JSON."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Answer] = lambda _request: (200, "ok")
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(raw) if raw[:1] in {b"{", b"["} else raw.decode()
                request = Request(self.command, self.path, dict(self.headers), body)
                sink.requests.append(request)
                status, content = sink.answer(request)
                text = content if isinstance(content, str) else json.dumps(content)
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_PUT = handle_one  # noqa: N815 (names of the library)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            # Every receiver of a configuration connects at the same moment.
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def to(self, path: str) -> list[Request]:
        """Requests whose path begins so."""
        return [request for request in list(self.requests) if request.path.startswith(path)]

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Mail:
    """One mail, with what the client said before it."""

    encrypted: bool
    user: str
    password: str
    sender: str
    recipients: list[str]
    data: str


class SmtpSink:
    """SMTP with STARTTLS by a certificate of its own, and AUTH PLAIN only inside TLS."""

    def __init__(self, folder: Path) -> None:
        self.mails: list[Mail] = []
        self.certificate, key = certificate(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, key)
        sink = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                sink.serve(self.request)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        """Speak with one client until it quits."""
        mail = Mail(False, "", "", "", [], "")
        stream = connection.makefile("rwb")

        def say(text: str) -> None:
            stream.write(f"{text}\r\n".encode())
            stream.flush()

        say("220 sink ESMTP")
        while line := stream.readline().decode().strip():
            word = line.split(" ")[0].upper()
            if word == "EHLO":
                more = "250-AUTH PLAIN\r\n250 8BITMIME" if mail.encrypted else "250 STARTTLS"
                say(f"250-sink\r\n{more}")
            elif word == "STARTTLS":
                say("220 go on")
                connection = self.context.wrap_socket(connection, server_side=True)
                stream = connection.makefile("rwb")
                mail.encrypted = True
            elif word == "AUTH" and mail.encrypted:
                _, mail.user, mail.password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                say("235 welcome")
            elif word == "MAIL":
                mail.sender = line
                say("250 ok" if mail.user else "530 authenticate first")
            elif word == "RCPT":
                mail.recipients.append(line)
                say("250 ok")
            elif word == "DATA":
                say("354 send it")
                lines = []
                while (part := stream.readline().decode()) != ".\r\n":
                    lines.append(part.removeprefix(".") if part.startswith("..") else part)
                mail.data = "".join(lines)
                self.mails.append(mail)
                say("250 taken")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("502 not known")

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Files of a fresh certificate for 127.0.0.1, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "smtp.crt", folder / "smtp.key"
    certificate_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


@contextmanager
def http_sink() -> Iterator[HttpSink]:
    """A sink that is closed at the end."""
    sink = HttpSink()
    try:
        yield sink
    finally:
        sink.close()
