"""What a cluster with a real node could leave on this machine, and waiting for what takes time to come about."""

import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tools.cluster import namespaces, packages
from tools.console import UserError

Found = TypeVar("Found")
COUNTERS = re.compile(r" \[\d+:\d+\]$")


def traces(folder: Path) -> dict[str, object]:
    """Links, routes, mounts, firewall rules, cgroups and folders of this machine, to compare before and after.

    `folder` is that of the cluster; what is mounted elsewhere below the folder of temporary files is other programs'.

    What a real node needs of Debian packages is installed first: they stay, and they bring the programs asked here.
    """
    packages.ensure()

    def lines(*command: str) -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    mounts = [Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    temporary = Path(tempfile.gettempdir())
    return {
        "network namespaces": lines("ip", "netns", "list"),
        "links": lines("ip", "-brief", "link"),
        "routes": lines("ip", "route"),
        "mounts": sorted(
            str(mount) for mount in mounts if mount.is_relative_to(folder) or not mount.is_relative_to(temporary)
        ),
        "firewall": [COUNTERS.sub("", line) for line in lines("iptables-save") if not line.startswith("#")],
        "cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("*/") if path.name == namespaces.CGROUP),
        "files": sorted(
            path for folder in ("/var/lib", "/var/log") for path in Path(folder).iterdir() if path.name in NODE_FOLDERS
        ),
    }


NODE_FOLDERS = {"kubelet", "containerd", "cni", "volumes", "pods", "containers"}
"""What kubelet, containerd and log agents make below /var/lib and /var/log: not one may be new."""


def wait_for(what: str, look: Callable[[], Found], good: Callable[[Found], object], seconds: float) -> Found:
    """Look again and again until what is seen is good; a look that kubectl refuses is one that is not good yet.

    Raises AssertionError, which says what was seen last.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            seen: object = (found := look())
            if good(found):
                return found
        except UserError as error:
            seen = error
        assert time.monotonic() < deadline, f"no {what} within {seconds:.0f} s; last seen: {seen}"
        time.sleep(0.5)
