"""A stand-in for the part of Pulumi Cloud's HTTP API that takes a journal, on a free port of loopback.

The CLI writes the whole state before and after each object where the backend is a folder or a bucket; a service that
answers `journalVersion: 1` at the start of an update is sent entries of what changed. With the stand-in the CLI's own
half of that can be run and timed. What it costs says nothing of the service: there is no network, no database, no
encryption of the state, and all is forgotten at the end.

It knows what `pulumi stack init`, `preview`, `up`, `refresh`, `destroy`, `cancel`, `stack export`, `stack import` and
`stack rm` ask for; all else is answered by 404. Secrets need a provider of their own, such as the passphrase.
Addresses: `pkg/backend/httpstate/client` of github.com/pulumi/pulumi.
"""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.journal_replay import Json
from bench.journal_stacks import RefusedError, Request, Stacks
from tools.ports import LOOPBACK

PROJECT = r"/api/stacks/(?P<project>[^/]+/[^/]+)"
STACK = PROJECT + "/(?P<stack>[^/]+)"
KIND = STACK + "/(?P<kind>update|preview|refresh|destroy)"
UPDATE = KIND + "/(?P<update>[0-9a-f]+)"
ADDRESSES: tuple[tuple[str, str, Callable[[Stacks, Request], Json]], ...] = (
    ("PATCH", UPDATE + "/journalentries", Stacks.journal),
    ("POST", UPDATE + "/events/batch", Stacks.nothing),
    ("POST", UPDATE + "/renew_lease", Stacks.renew),
    ("POST", UPDATE + "/(?:complete|cancel)", Stacks.end),
    ("GET", UPDATE, Stacks.outcome),
    ("POST", UPDATE, Stacks.start),
    ("POST", KIND, Stacks.plan),
    ("GET", STACK + "/export", Stacks.export),
    ("POST", STACK + "/import", Stacks.take),
    ("POST", STACK + "/decrypt/log-(?:batch-)?decryption", Stacks.nothing),
    ("GET", STACK, Stacks.describe),
    ("DELETE", STACK, Stacks.delete),
    ("HEAD", PROJECT, Stacks.project),
    ("POST", PROJECT, Stacks.create),
    ("GET", "/api/user", Stacks.user),
    ("GET", "/api/(?:capabilities|user/organizations/default)", Stacks.nothing),
)


class Service(ThreadingHTTPServer):
    """The stand-in: listens, and keeps what it is told until its end."""

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.stacks, self.lock = Stacks(), threading.Lock()
        self.unknown: list[str] = []
        """Requests to addresses that the stand-in does not know."""

    def environment(self, folder: Path) -> dict[str, str]:
        """For a CLI that uses the service. Its login is kept below `folder`: the user's own stays as it is."""
        login = {"PULUMI_CREDENTIALS_PATH": str(folder), "PULUMI_ACCESS_TOKEN": self.stacks.token}
        return {**login, "PULUMI_BACKEND_URL": f"http://{LOOPBACK}:{self.server_port}"}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a CLI that went away: one that is killed is part of the matter."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"  # connections are kept
    wbufsize = -1  # head and body at once: else the body waits for the other side's acknowledgement of the head

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = HTTPStatus.OK
        try:
            with self.server.lock:
                found = self._found(body)
        except RefusedError as error:
            status, found = error.status, {"code": error.status, "message": str(error)}
        except (KeyError, ValueError, OSError) as error:
            # Of a body that is no journal, and of a journal that cannot be replayed.
            status, found = HTTPStatus.BAD_REQUEST, {"code": HTTPStatus.BAD_REQUEST, "message": repr(error)}
        answer = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815

    def _found(self, body: bytes) -> Json:
        place = urlsplit(self.path)
        for method, pattern, function in ADDRESSES:
            match = re.fullmatch(pattern, place.path) if method == self.command else None
            if match:
                if not self.server.stacks.may(self.headers.get("Authorization", ""), match.groupdict()):
                    raise RefusedError(HTTPStatus.UNAUTHORIZED, "the token is not the stand-in's")
                zipped = self.headers.get("Content-Encoding") == "gzip"
                return function(self.server.stacks, Request(match.groupdict(), place.query, body, zipped))
        self.server.unknown.append(f"{self.command} {place.path}")
        raise RefusedError(HTTPStatus.NOT_FOUND, "the stand-in does not know this address")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the CLI says what goes wrong."""


@contextmanager
def running() -> Iterator[Service]:
    """The stand-in, until the end of the block."""
    with Service() as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        try:
            yield service
        finally:
            service.shutdown()
