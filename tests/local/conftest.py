"""Stack dev on a real node, deployed once by what `make up` calls, and gone without a trace at the end."""

from collections.abc import Iterator

import pytest

from tests.cluster.traces import traces
from tools import cluster
from tools.access import Access, attach
from tools.cluster import namespaces
from tools.fire.cause import BUSYBOX
from tools.rules import stack_settings
from tools.up import up_local

REASON = namespaces.why_not()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    if REASON is not None:
        pytest.skip(f"no real node on this machine: {REASON}")
    folder = tmp_path_factory.mktemp("stack") / "local"
    before = traces(folder)
    parts = []
    try:
        up_local("dev", folder=folder)
        access = attach(folder, stack_settings("dev"))
        parts = access.running.state.running()
        access.running.ensure_images([BUSYBOX])
        yield access
    finally:
        cluster.stop(folder)
    assert not folder.exists()
    assert not any(part.alive for part in parts)
    assert traces(folder) == before
