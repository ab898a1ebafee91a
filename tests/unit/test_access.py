"""The parts of the local stack are waited for before they are asked."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.access import Access
from tools.cluster import Cluster
from tools.cluster.state import State
from tools.console import UserError

REFUSAL = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture
def hesitant() -> Iterator[str]:
    """A port behind which nobody is at the first two calls, as a forwarder's before kube-proxy knows the Service."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in (b"", b"", REFUSAL):
                connection, _ = listener.accept()
                with connection:
                    if answer:
                        connection.recv(65536)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def access(**urls: str) -> Access:
    return Access(Cluster(State(Path("unused"), "real", {})), urls, "user", "password")


def test_a_part_is_waited_for_until_it_answers_whatever(hesitant: str) -> None:
    access(loki=hesitant).wait(seconds=60)


def test_a_part_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UserError, match=f"alertmanager does not answer at http://127.0.0.1:{port} within 0 s"):
        access(alertmanager=f"http://127.0.0.1:{port}").wait(seconds=0)
