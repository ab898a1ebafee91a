"""Ports for daemons: nobody has them, and none is given twice."""

import socket

import pytest

from tools import ports
from tools.console import UserError


def test_no_port_is_given_twice() -> None:
    found = [port for _ in range(50) for port in ports.free_ports(4)]
    assert len(set(found)) == 200
    assert all(port in ports.PORTS for port in found)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_somebody_has_is_not_given(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    [taken, free] = ports.free_ports(2)
    monkeypatch.setattr(ports, "PORTS", range(min(taken, free), max(taken, free) + 1, abs(taken - free)))
    monkeypatch.setattr(ports, "_given", set())
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind((ports.LOOPBACK, taken))
        assert ports.free_ports(1) == [free]
        with pytest.raises(UserError, match=r"1 free ports are needed between .*, and 0 are there"):
            ports.free_ports(1)
