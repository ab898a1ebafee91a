"""The parts of the local stack are waited for before they are asked."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import addresses
from settings.cluster import NamespacesSettings
from tools.access import OPENED, Access
from tools.access import access as open_parts
from tools.cluster import Cluster
from tools.cluster.state import State
from tools.console import UserError
from tools.rules import stack_settings

NO_HTTP = b"what do you want?\r\n"
REFUSAL = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture
def hesitant() -> Iterator[str]:
    """A port behind which nobody is at first, as a forwarder's before kube-proxy knows the Service; then another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in (b"", NO_HTTP, REFUSAL):
                connection, _ = listener.accept()
                with connection:
                    if answer:
                        connection.recv(65536)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def access(**urls: str) -> Access:
    return Access(Cluster(State(Path("unused"), "real", {})), urls, "user", "password", NamespacesSettings())


def test_a_part_is_waited_for_until_it_answers_whatever(hesitant: str) -> None:
    access(loki=hesitant).wait(seconds=60)


def test_a_part_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UserError, match=f"alertmanager does not answer at http://127.0.0.1:{port} within 0 s"):
        access(alertmanager=f"http://127.0.0.1:{port}").wait(seconds=0)


def test_only_the_parts_that_are_used_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is down does not keep the others from whoever asks them."""
    services = (addresses.PROMETHEUS, OPENED, addresses.LOKI_GATEWAY, addresses.GRAFANA)
    items = [{"metadata": {"name": name}, "spec": {"clusterIP": name}} for name in services]
    found = json.dumps({"items": items, "data": {"username": "bWU=", "password": "bWluZQ=="}})
    opened: list[str] = []
    monkeypatch.setattr(Cluster, "kubectl", lambda *_, **__: found)
    monkeypatch.setattr(Cluster, "forward", lambda _, listen, host, port: opened.append(host))
    running, settings = Cluster(State(Path("unused"), "kind", {})), stack_settings("dev")
    assert set(open_parts(running, settings, ("loki",)).urls) == {"loki"}
    assert opened == [f"monitoring/{addresses.LOKI_GATEWAY}"]
    assert set(open_parts(running, settings, ("inbox",)).urls) == {"inbox"}
    assert set(open_parts(running, settings).urls) == {"prometheus", "alertmanager", "loki", "grafana", "inbox"}
