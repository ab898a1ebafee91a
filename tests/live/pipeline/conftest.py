"""One real Loki for all tests; each test has a tenant of its own."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from settings import Settings
from tools import cluster
from tools.cluster import Cluster
from tools.faults import daemons
from tools.faults.__main__ import AGENTS
from tools.faults.agents import Source, agent
from tools.faults.daemons import Daemon
from tools.rules import stack_settings

Stream = tuple[dict[str, str], list[str]]


@pytest.fixture(scope="session")
def loki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = daemons.loki(tmp_path_factory.mktemp("loki"), stack_settings("dev")).start()
    try:
        yield daemon.ready()
    finally:
        daemon.end(signal.SIGKILL)


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real API server with fake nodes."""
    with cluster.fake(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@dataclass
class Node:
    """A node's log agent, its folder, and what of it is in Loki."""

    folder: Path
    loki: Daemon
    tenant: str
    program: str

    def settings(self, **log_agent: Any) -> Settings:
        """Settings of stack dev with this test's tenant and log agent."""
        plain = stack_settings("dev")
        chosen = type(plain.log_agent).model_validate({"program": self.program, **log_agent})
        tenant = plain.loki.model_copy(update={"tenant": self.tenant})
        return plain.model_copy(update={"log_agent": chosen, "loki": tenant})

    def streams(self, where: str = "") -> list[Stream]:
        """Every stream with its lines in their order, of those lines where this holds.

        The level of a line, its own or as Loki finds it, is no label of the stream.
        """
        answer = self.loki.get(
            "/loki/api/v1/query_range",
            self.tenant,
            query=f'{{cluster="dev"}} {f"| {where}" if where else ""} | drop detected_level, level',
            limit="5000",
            direction="forward",
            since="24h",
        )
        return [(item["stream"], [line for _, line in item["values"]]) for item in answer["data"]["result"]]

    def ship(self, source: Source, wanted: int, **log_agent: Any) -> None:
        """Let the agent read from the source until so many lines are in Loki, then end it."""
        reader = agent(self.folder, self.settings(**log_agent), self.loki.url, source)
        try:
            reader.start().ready()
            daemons.until(f"{wanted} lines in Loki", lambda: len(self.lines()) >= wanted)
        finally:
            # The end flushes what is left: a line too many would be there now.
            reader.end(signal.SIGTERM)

    def lines(self, where: str = "") -> list[str]:
        """Every line where this holds, whatever its stream."""
        return [line for _, lines in self.streams(where) for line in lines]


@pytest.fixture(params=AGENTS)
def node(tmp_path: Path, loki: Daemon, request: pytest.FixtureRequest) -> Node:
    """Each test runs once with each log agent. Tests of two files may share a name, and no tenant."""
    tenant = f"{request.path.stem}-{request.node.name}".replace("_", "-").replace("[", "-").replace("]", "")
    return Node(tmp_path, loki, tenant, request.param)
