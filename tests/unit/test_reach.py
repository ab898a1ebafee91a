"""How `make verify` reaches a cluster: forwarded ports, passwords, and what it says where it cannot."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from settings import parse
from tests.unit.verify_answers import SETTINGS, daemons, healthy
from tools.console import UserError
from tools.reach import Part, Parts, Reach, reach

KUBECTL = """#!/bin/sh
case "$*" in
  *version*) echo 'Client Version: v{release}';;
  *"get namespace"*) echo 'error: context "nowhere" does not exist' >&2; exit 1;;
  *forward*service/there*) echo 'Forwarding from 127.0.0.1:{port} -> 8080'; exec sleep 600;;
  *forward*) echo 'error: pods "x" is forbidden: cannot create resource "pods/portforward"' >&2; exit 1;;
  *"get secret"*) echo '{{"data": {{"username": "bWU=", "password": "bWluZQ=="}}}}';;
esac
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    from tools.binaries import TOOLS  # noqa: PLC0415

    program = tmp_path / "kubectl"
    with daemons(healthy()) as url:
        program.write_text(KUBECTL.format(release=TOOLS["kubectl"].release, port=url.rsplit(":", 1)[1]))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        yield program


@pytest.mark.usefixtures("kubectl")
def test_a_forwarded_port_is_read_and_closed() -> None:
    with Reach(context="edge").forward("Loki", "monitoring", "service/there", 8080, {}) as part:
        assert part.read("/api/v1/targets")["data"]["activeTargets"]


@pytest.mark.usefixtures("kubectl")
def test_loki_is_asked_with_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.addresses.LOKI_GATEWAY", "there")
    with ExitStack() as opened:
        part = Parts(Reach(), SETTINGS, opened).loki()
        assert part.headers == {"Authorization": "Basic bWU6bWluZQ=="}
        assert "bWU6bWluZQ" not in " ".join(map(str, [part.url, part.name]))


@pytest.mark.usefixtures("kubectl")
def test_what_kubectl_says_is_the_message() -> None:
    with pytest.raises(UserError, match=r'no port leads to Loki: error: pods "x" is forbidden'):
        Reach().forward("Loki", "monitoring", "service/not-there", 8080, {}).__enter__()
    with pytest.raises(UserError, match=r'kubectl get namespace monitoring: error: context "nowhere" does not exist'):
        Reach(context="nowhere").get("namespace", "monitoring")


def test_a_part_that_is_silent_is_named() -> None:
    with pytest.raises(UserError, match="Loki does not answer at"):
        Part("Loki", "http://127.0.0.1:9").read("/")


def test_without_a_local_cluster_it_is_said(tmp_path: Path) -> None:
    sections = {"cluster": {"name": "dev", "distribution": "local"}, "alertmanager": {"heartbeat": "none"}}
    with pytest.raises(UserError, match="start it by: make up"):
        reach(parse(sections, "x"), tmp_path)
    assert reach(SETTINGS, tmp_path) == Reach(None, "edge")
