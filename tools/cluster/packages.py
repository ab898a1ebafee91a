"""The Debian packages that a real node needs: looked for as programs first, then installed by apt-get."""

import os
import shutil
import subprocess
from pathlib import Path

from tools.console import UserError, progress, say

PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
CNI_FOLDERS = (Path("/opt/cni/bin"), Path("/usr/lib/cni"))
CNI_PACKAGE = "containernetworking-plugins"


def missing() -> list[str]:
    """The packages whose programs are neither on PATH nor, for the CNI plugins, in their usual folders."""
    wanted = {package for program, package in PROGRAMS.items() if not shutil.which(program)}
    if not any((folder / "ptp").exists() for folder in CNI_FOLDERS):
        wanted.add(CNI_PACKAGE)
    return sorted(wanted)


def ensure() -> None:
    """Install what is missing, saying so. Raises `UserError` when apt-get is missing or fails."""
    packages = missing()
    if not packages:
        return
    names = " ".join(packages)
    if not shutil.which("apt-get"):
        raise UserError(
            f"a real node needs {names}, and there is no apt-get here to install them.\n"
            "Install them by this machine's own package manager, or start with --fake-nodes."
        )
    say(f"Installing Debian packages for the real node: {names}")
    apt_get(["update", "--quiet=2"])
    apt_get(["install", "--yes", "--quiet=2", "--no-install-recommends", *packages])


def apt_get(arguments: list[str], folder: Path | None = None) -> None:
    """Run apt-get without questions, in `folder`. Raises `UserError` with its last words when it fails."""
    with progress(f"apt-get {arguments[0]}"):
        result = subprocess.run(
            ["apt-get", *arguments],
            cwd=folder,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode != 0:
        raise UserError(f"apt-get {' '.join(arguments)} failed: {result.stderr.strip()[-800:]}")
