"""Sinks and Alertmanagers of a test, stopped at its end."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .daemons import Alertmanager
from .sinks import HttpSink, http_sink
from .templates import Renderer

Start = Callable[..., Alertmanager]


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
