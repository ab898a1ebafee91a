"""Stacks as a service that takes a journal keeps them: what each request of the CLI finds and changes.

Names of fields: `sdk/go/common/apitype` of github.com/pulumi/pulumi.
"""

import gzip
import hmac
import json
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus

from bench.journal_replay import PLAIN, Json, empty, replay

OWNER = "bench"
JOURNAL_VERSION = 1
NOT_EMPTY = "Bad Request: Stack still contains resources."
"""The CLI knows this case by these very words."""


class RefusedError(Exception):
    """A request that is answered by no, with the status of HTTP."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass
class Request:
    """The named parts of a request's path, its query and its body."""

    parts: dict[str, str]
    query: str
    body: bytes
    zipped: bool

    def json(self) -> Json:
        """The body. Raises ValueError or OSError where it is none."""
        found: Json = json.loads((gzip.decompress(self.body) if self.zipped else self.body) or b"{}")
        return found


@dataclass
class Update:
    """One run of the CLI on a stack, and the entries that it sent, by their sequence: a batch may come twice."""

    kind: str
    identity: str = field(default_factory=lambda: secrets.token_hex(8))
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    entries: dict[int, Json] = field(default_factory=dict)


@dataclass
class Stack:
    """A stack: its state before the run that goes on, its runs that have not ended, and the one that changes it."""

    tags: Json
    version: int = 0
    base: Json = field(default_factory=lambda: {"version": PLAIN, "deployment": empty()})
    updates: dict[str, Update] = field(default_factory=dict)
    active: Update | None = None

    def state(self) -> Json:
        """What an export gives: also in the midst of a run, and after one that was killed."""
        if self.active is None or not self.active.entries:
            return self.base
        return replay(self.base["deployment"], self.active.entries.values())


class Stacks:
    """All stacks. The methods that take a request answer it, or raise RefusedError."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self.all: dict[str, Stack] = {}

    def may(self, authorization: str, parts: dict[str, str]) -> bool:
        """Whether a request comes from one that has the service's token, or the token of the update that it is for."""
        scheme, _, token = authorization.partition(" ")
        if scheme == "update-token" and "update" in parts:
            return _same(token, self._update(parts).token)
        return scheme == "token" and _same(token, self.token)

    def _stack(self, parts: dict[str, str]) -> Stack:
        name = f"{parts['project']}/{parts['stack']}"
        if name not in self.all:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"there is no stack {name}")
        return self.all[name]

    def _update(self, parts: dict[str, str]) -> Update:
        if parts["update"] not in self._stack(parts).updates:
            raise RefusedError(HTTPStatus.NOT_FOUND, "no such update, or it is over")
        return self._stack(parts).updates[parts["update"]]

    def user(self, _request: Request) -> Json:
        """Whose token it is."""
        return {"id": OWNER, "githubLogin": OWNER, "name": OWNER, "organizations": [{"githubLogin": OWNER}]}

    def nothing(self, _request: Request) -> Json:
        """Drop, unread, what a service keeps for its pages; have no further capabilities."""
        return {}

    def project(self, request: Request) -> Json:
        """Whether the project has a stack."""
        if not any(name.startswith(f"{request.parts['project']}/") for name in self.all):
            raise RefusedError(HTTPStatus.NOT_FOUND, "no such project")
        return {}

    def create(self, request: Request) -> Json:
        """Make a stack."""
        body = request.json()
        name = f"{request.parts['project']}/{body['stackName']}"
        if name in self.all:
            raise RefusedError(HTTPStatus.CONFLICT, f"there is a stack {name} already")
        self.all[name] = Stack(body.get("tags") or {})
        return {}

    def describe(self, request: Request) -> Json:
        """A stack, but for its state."""
        found, (owner, project) = self._stack(request.parts), request.parts["project"].split("/")
        about = {"orgName": owner, "projectName": project, "stackName": request.parts["stack"]}
        running = found.active.identity if found.active else ""
        return {**about, "tags": found.tags, "version": found.version, "activeUpdate": running}

    def delete(self, request: Request) -> Json:
        """Forget a stack; one that has resources by force only."""
        if self._stack(request.parts).state()["deployment"].get("resources") and "force=true" not in request.query:
            raise RefusedError(HTTPStatus.BAD_REQUEST, NOT_EMPTY)
        del self.all[f"{request.parts['project']}/{request.parts['stack']}"]
        return {}

    def export(self, request: Request) -> Json:
        """A stack's state."""
        return self._stack(request.parts).state()

    def take(self, request: Request) -> Json:
        """Have a state from outside: at once, so that whoever asks after it is told that it went well."""
        stack, made = self._stack(request.parts), Update("import")
        self._alone(stack)
        stack.base, stack.updates[made.identity] = request.json(), made
        return {"updateId": made.identity}

    def outcome(self, request: Request) -> Json:
        """What came of taking a state."""
        self._update(request.parts)
        return {"status": "succeeded", "events": []}

    def _alone(self, stack: Stack) -> None:
        if stack.active is not None:
            raise RefusedError(HTTPStatus.CONFLICT, "another update goes on; `pulumi cancel` ends it")

    def plan(self, request: Request) -> Json:
        """Make a run, which does not start yet."""
        made = Update(request.parts["kind"])
        self._stack(request.parts).updates[made.identity] = made
        return {"updateID": made.identity}

    def start(self, request: Request) -> Json:
        """Start a run. One at a time may change a stack."""
        stack, update, body = self._stack(request.parts), self._update(request.parts), request.json()
        stack.tags = body.get("tags") or stack.tags
        if update.kind != "preview":
            if body.get("journalVersion", 0) < JOURNAL_VERSION:
                words = "the stand-in takes a journal only: unset PULUMI_DISABLE_JOURNALING"
                raise RefusedError(HTTPStatus.BAD_REQUEST, words)
            self._alone(stack)
            stack.active, stack.version = update, stack.version + 1
        return {"version": stack.version, "token": update.token, "journalVersion": JOURNAL_VERSION}

    def journal(self, request: Request) -> Json:
        """Take entries."""
        entries = request.json()["entries"]
        self._update(request.parts).entries.update((int(entry["sequenceID"]), entry) for entry in entries)
        return {}

    def renew(self, request: Request) -> Json:
        """Let a run go on."""
        return {"token": self._update(request.parts).token}

    def end(self, request: Request) -> Json:
        """End a run, or one that was killed: what its entries say is the state."""
        stack, update = self._stack(request.parts), self._update(request.parts)
        if stack.active is update:
            stack.base, stack.active = stack.state(), None
        del stack.updates[update.identity]
        return {}


def _same(token: str, ours: str) -> bool:
    return hmac.compare_digest(token.encode(), ours.encode())
