"""A small container registry: version 2 of the interface, with anonymous tokens as public registries ask for them."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "anonymous-token"


@dataclass
class Registry:
    """Its address, the manifests by `repository:tag`, and what it was asked."""

    address: str = ""
    manifests: dict[str, bytes] = field(default_factory=dict)
    challenge: str = "bearer"
    """`bearer`, `basic`, or `none`."""
    says_digest: bool = True
    seen: list[str] = field(default_factory=list)

    def reference(self, name: str, content: bytes) -> str:
        """Store a manifest, and give the reference by which it is asked for."""
        self.manifests[name] = content
        return f"{self.address}/{name}"


def digest_of(content: bytes) -> str:
    """The digest of a manifest, as registries compute it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def running() -> Iterator[Registry]:
    """A registry on a free port of this machine."""
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            registry.seen.append(f"token {parse_qs(url.query).get('scope', [''])[0]}")
            self.answer(200, json.dumps({"token": TOKEN}).encode())

        def do_HEAD(self) -> None:
            registry.seen.append(f"HEAD {self.path}")
            repository, _, tag = self.path.removeprefix("/v2/").partition("/manifests/")
            content = registry.manifests.get(f"{repository}:{tag}")
            if registry.challenge != "none" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                realm = f'realm="http://{registry.address}/token",service="fixture"'
                scope = f'scope="repository:{repository}:pull"'
                kind = "Bearer" if registry.challenge == "bearer" else "Basic"
                self.answer(401, b"", **{"WWW-Authenticate": f"{kind} {realm},{scope}"})
            elif content is None or "index" not in self.headers.get("Accept", ""):
                self.answer(404, b"")
            else:
                given = {"Docker-Content-Digest": digest_of(content)} if registry.says_digest else {}
                self.answer(200, b"", **given)

        def answer(self, code: int, body: bytes, **headers: str) -> None:
            self.send_response(code)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
