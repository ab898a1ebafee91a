"""Stack dev on a real node, deployed once by what `make up` calls, and gone without a trace at the end."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import cluster
from tools.access import Access, attach
from tools.cluster import namespaces
from tools.fire.cause import BUSYBOX
from tools.rules import stack_settings
from tools.up import up_local

REASON = namespaces.why_not()


def machine() -> dict[str, object]:
    """What a stopped cluster may not have left on this machine. Folders of other clusters come and go: not these."""

    def lines(*command: str) -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    return {
        "links": lines("ip", "-brief", "link"),
        "routes": lines("ip", "route"),
        "mounts": sorted(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "firewall": [line for line in lines("iptables-save") if not line.startswith(("#", ":"))],
    }


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    if REASON is not None:
        pytest.skip(f"no real node on this machine: {REASON}")
    before = machine()
    folder = tmp_path_factory.mktemp("stack") / "local"
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
    assert machine() == before
