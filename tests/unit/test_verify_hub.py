"""`make verify` of a hub and of a cluster that sends to it. The checks of the hub's Prometheus run in tests/live."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from components.remote_write import ALIVE
from settings import Settings, parse
from tests.rules.metrics import mistakes
from tests.unit.verify_answers import healthy, no_patience, results
from tools.console import UserError
from tools.reach import Part, part_at
from tools.verify import hub

__all__ = ["no_patience"]
CENTRAL = {"url": "https://logs.example.com", "passwordSecret": "hubLogs"}
WRITE = {"name": "hub", "url": "https://hub.example.com/api/v1/write"}
SENDERS = [{"cluster": name, "passwordSecret": f"{name}Logs"} for name in ("edge", "shop")]


def settings(**sections: Any) -> Settings:
    config = {"cluster": {"name": "hub", "distribution": "k3s"}, "alertmanager": {"heartbeat": "none"}, **sections}
    return parse(config, "x", check_secrets=False)


class Prometheus(Part):
    """Answers queries with what it is given."""

    def __init__(self, **answers: list[tuple[dict[str, str], float]]) -> None:
        super().__init__("Prometheus", "")
        object.__setattr__(self, "answers", answers)

    def read(self, path: str) -> Any:
        [query] = parse_qs(urlsplit(path).query)["query"]
        [name] = [name for name in ("WRITTEN", "SENT", "EVENTS", "RECEIVED") if getattr(hub, name) == query]
        found = self.answers.get(name, [])  # type: ignore[attr-defined]
        return {"data": {"result": [{"metric": labels, "value": [0, str(value)]} for labels, value in found]}}


@pytest.mark.parametrize("query", [hub.WRITTEN, hub.SENT, hub.EVENTS, hub.RECEIVED, ALIVE])
def test_queries_name_what_exists(query: str) -> None:
    assert mistakes(query) == []


@pytest.mark.parametrize(
    ("late", "well", "seen"),
    [
        ([({"remote_name": "hub"}, 31.2)], True, "hub is 31 s behind"),
        ([({"remote_name": "hub"}, 400)], False, "hub got its newest sample 400 s ago"),
        ([({"remote_name": "other"}, 1)], False, "hub has got nothing yet"),
    ],
)
def test_remote_write(late: list[tuple[dict[str, str], float]], well: bool, seen: str) -> None:
    found = hub.writing(Prometheus(WRITTEN=late), settings(prometheus={"remoteWrite": [WRITE]}))
    assert (found.well, found.seen) == (well, seen)
    assert found.todo


def test_lines_to_the_hub() -> None:
    chosen = settings(centralLogs=CENTRAL)
    lines = [({"host": "a"}, 7.0)]
    assert hub.sending(Prometheus(SENT=lines), chosen).seen == "7 lines were taken by the hub in 5 minutes"
    for silent in ([({"host": "a"}, 0.0)], []):
        assert not hub.sending(Prometheus(SENT=silent), chosen).well


@pytest.mark.parametrize(
    ("codes", "well"), [([], True), (["204"], True), (["-1", "204"], True), (["-1", "500"], False), (["401"], False)]
)
def test_events_to_the_hub(codes: list[str], well: bool) -> None:
    """There may be none; those that there are must not all be refused."""
    answers = Prometheus(SENT=[({"host": "a"}, 7.0)], EVENTS=[({"status_code": code}, 1.0) for code in codes])
    found = hub.sending(answers, settings(centralLogs=CENTRAL))
    assert found.well == well
    assert well or found.seen.endswith(f"; it took no event, answers: {', '.join(codes)}")
    assert all(name in found.todo for name in ("DaemonSet central-logs", "Deployment central-events"))
    assert hub.sending(answers, settings(centralLogs=CENTRAL | {"events": False})).well


def test_lines_of_clusters() -> None:
    chosen = settings(hub={"logSenders": SENDERS})
    both = [({"tenant": name}, 9.0) for name in ("edge", "shop", "main")]
    assert hub.senders(Prometheus(RECEIVED=both), chosen).well
    found = hub.senders(Prometheus(RECEIVED=both[1:]), chosen)
    assert (found.well, found.seen) == (False, "lines of 1 of 2 clusters came in 10 minutes; none of edge")


def test_each_part_of_hub_and_spoke_is_checked() -> None:
    plain = set(results(healthy(), settings()))
    spoke = results(healthy(), settings(prometheus={"remoteWrite": [WRITE]}, centralLogs=CENTRAL))
    assert set(spoke) - plain == {"remote write", "log agent of the hub on every node", "lines to the hub"}
    found = results(healthy(), settings(hub={"enabled": True, "logSenders": SENDERS}))
    assert set(found) - plain == {"hub: rules", "hub: clusters", "hub: log lines of clusters"}
    # The fake pods are ready; nobody has sent anything.
    silent = {check: result for all_ in (spoke, found) for check, result in all_.items() if check not in plain}
    assert [check for check, result in silent.items() if result.well] == ["log agent of the hub on every node"]
    assert all(result.todo for result in silent.values())


@pytest.mark.parametrize(
    ("url", "shown", "sent"),
    [
        ("http://me:s%40cret@host:9090/prometheus/", "http://host:9090/prometheus", "Basic bWU6c0BjcmV0"),
        ("https://host", "https://host", None),
    ],
)
def test_a_password_in_an_address_is_sent_and_not_shown(url: str, shown: str, sent: str | None) -> None:
    part = part_at(url)
    assert part.url == shown
    assert "cret" not in part.name
    assert part.headers.get("Authorization") == sent


@pytest.mark.parametrize("url", ["ftp://host", "host:9090", "http://", "http://me:secret@host:x", "http://[x"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UserError, match="give as URL an address") as error:
        part_at(url)
    assert "secret" not in str(error.value)
