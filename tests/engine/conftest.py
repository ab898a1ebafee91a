"""The cluster of each module of this tier; without an engine the tier says aloud that it proves nothing."""

from collections.abc import Iterator

import pytest

from tools import cluster
from tools.cluster import Cluster
from tools.up import why_no_engine


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    reason = why_no_engine()
    if reason:
        pytest.skip(f"THE ENGINE TIER PROVES NOTHING HERE: {reason}")
    with cluster.fake(tmp_path_factory.mktemp("engine")) as running:
        yield running
