"""Sinks and Alertmanagers of a test, stopped at its end; the kills run in the background from the first test on."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .daemons import Alertmanager
from .kills import Kills
from .sinks import HttpSink, http_sink
from .templates import Renderer

Start = Callable[..., Alertmanager]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the kills come last: they wait for minutes, in which the others can run."""
    items.sort(key=_waits_for_kills)


def _waits_for_kills(item: pytest.Item) -> bool:
    return "kill_tests" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def kill_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kills]:
    kills = Kills(tmp_path_factory.mktemp("kills"))
    yield kills
    kills.close()


@pytest.fixture(scope="session", autouse=True)
def begin_kills(request: pytest.FixtureRequest) -> None:
    """Begin them with the first test of this folder, where a later one asks for them."""
    if any(map(_waits_for_kills, request.session.items)):
        request.getfixturevalue("kill_tests")


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as opened:
        yield opened


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an Alertmanager with a configuration."""
    running: list[Alertmanager] = []

    def begin(config: Mapping[str, Any], *options: str) -> Alertmanager:
        running.append(Alertmanager(tmp_path / f"alertmanager-{len(running)}", config, *options))
        return running[-1].start()

    yield begin
    for alertmanager in running:
        alertmanager.stop()


@pytest.fixture(scope="session")
def render(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    return Renderer(tmp_path_factory.mktemp("messages"))
