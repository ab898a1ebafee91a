"""The stand-in that takes a journal: what the CLI is answered, and what is refused. Entries are written by hand."""

import gzip
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench import journal_service
from bench.journal_replay import Kind

Json = dict[str, Any]
STACK = "/api/stacks/bench/grow/one"
A = {"urn": "urn:pulumi:bench::grow::kind::a", "custom": True, "type": "kind"}


def entry(sequence: int, kind: Kind, **more: Any) -> Json:
    return {"version": 1, "kind": int(kind), "sequenceID": sequence, "operationID": 1, **more}


BEGUN = entry(1, Kind.BEGIN, operation={"resource": A, "type": "creating"})
MADE = entry(2, Kind.SUCCESS, state=A)
DELETED = entry(1, Kind.SUCCESS, removeOld=0)


class Update(NamedTuple):
    path: str
    token: str


class Client:
    """The stand-in's API, as the CLI uses it."""

    def __init__(self, service: journal_service.Service) -> None:
        variables = service.environment(Path("login"))
        self.url, self.token = variables["PULUMI_BACKEND_URL"], f"token {variables['PULUMI_ACCESS_TOKEN']}"
        self.ask("POST", "/api/stacks/bench/grow", {"stackName": "one"})

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> Json:
        data = gzip.compress(body if isinstance(body, bytes) else json.dumps(body).encode())
        headers = {"Authorization": token or self.token, "Content-Encoding": "gzip"}
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: Json = json.load(answer)
            return found

    def refusal(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, str]:
        with pytest.raises(urllib.error.HTTPError) as refused:
            self.ask(method, path, body, token)
        with refused.value as answer:
            return answer.code, json.load(answer)["message"]

    def start(self) -> "Update":
        made = self.ask("POST", f"{STACK}/update", {})
        path = f"{STACK}/update/{made['updateID']}"
        started = self.ask("POST", path, {"journalVersion": 1})
        assert started["journalVersion"] == 1
        return Update(path, f"update-token {started['token']}")

    def send(self, update: "Update", *entries: Json) -> None:
        self.ask("PATCH", f"{update.path}/journalentries", {"entries": entries}, update.token)

    def state(self) -> Json:
        state: Json = self.ask("GET", f"{STACK}/export")["deployment"]
        return state


@pytest.fixture
def service() -> Iterator[journal_service.Service]:
    with journal_service.running() as running:
        yield running


@pytest.fixture
def client(service: journal_service.Service) -> Client:
    return Client(service)


def test_a_batch_that_comes_twice_counts_once_and_the_end_makes_it_the_state(client: Client) -> None:
    update = client.start()
    for entries in ([BEGUN, MADE], [MADE]):
        client.send(update, *entries)
        assert client.state()["resources"] == [A]
    assert client.ask("POST", f"{update.path}/renew_lease", {"duration": 300}, update.token)["token"] in update.token
    client.ask("POST", f"{update.path}/complete", {"status": "succeeded"}, update.token)
    assert client.state()["resources"] == [A]
    update = client.start()
    client.send(update, DELETED)
    client.ask("POST", f"{update.path}/complete", {"status": "succeeded"}, update.token)
    assert "resources" not in client.state()


def test_one_update_at_a_time_until_it_is_cancelled(client: Client) -> None:
    update = client.start()
    client.send(update, BEGUN)
    second = client.ask("POST", f"{STACK}/update", {})["updateID"]
    assert client.refusal("POST", f"{STACK}/update/{second}", {"journalVersion": 1})[0] == 409
    assert update.path.endswith(client.ask("GET", STACK)["activeUpdate"])
    client.ask("POST", f"{update.path}/cancel")
    assert client.state()["pending_operations"] == [BEGUN["operation"]]
    assert client.refusal("PATCH", f"{update.path}/journalentries", {"entries": [MADE]}, update.token)[0] == 404
    client.start()


def test_what_is_refused(client: Client, service: journal_service.Service) -> None:
    update = client.start()
    entries = f"{update.path}/journalentries"
    assert client.refusal("GET", f"{STACK}/export", token="token guessed")[0] == 401
    assert client.refusal("PATCH", entries, {"entries": []}, "update-token guessed")[0] == 401
    assert client.refusal("GET", f"{STACK}/export", token=update.token)[0] == 401
    assert client.refusal("PATCH", entries, b"no json", update.token)[0] == 400
    client.send(update, DELETED)
    code, words = client.refusal("GET", f"{STACK}/export")
    assert (code, "resource 0 of a state that has 0" in words) == (400, True)
    other = client.ask("POST", f"{STACK}/update", {})["updateID"]
    assert client.refusal("POST", f"{STACK}/update/{other}", {})[0] == 400  # a CLI that would send whole states
    assert client.refusal("GET", "/api/stacks/bench/grow/other")[0] == 404
    assert not service.unknown
    assert client.refusal("GET", "/api/other")[0] == 404
    assert service.unknown == ["GET /api/other"]


def test_a_stack_with_resources_goes_by_force_only(client: Client) -> None:
    update = client.start()
    client.send(update, MADE)
    client.ask("POST", f"{update.path}/complete", {}, update.token)
    assert client.refusal("DELETE", STACK) == (400, "Bad Request: Stack still contains resources.")
    client.ask("DELETE", f"{STACK}?force=true")
    assert client.refusal("GET", STACK)[0] == 404
