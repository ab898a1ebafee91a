"""Files of Debian packages, unpacked into the cache without installing anything."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.cluster.packages import apt_get
from tools.console import UserError
from tools.go_build import cache_dir


def unpack(name: str, packages: Sequence[str]) -> Path:
    """The folder with the files of `packages`, downloaded once and kept in the cache under `name`.

    Raises `UserError` where there is no apt-get, and when it fails.
    """
    target = cache_dir() / "debian" / name
    if target.exists():
        return target
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise UserError(f"{name} comes from Debian packages ({' '.join(packages)}), and there is no apt-get here.")
    partial = target.with_name(f".{name}")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "debs").mkdir(parents=True)
    (partial / "root").mkdir()
    try:
        apt_get(["download", *packages], folder=partial / "debs")
    except UserError:  # the machine's package lists are missing or older than the archive
        apt_get(["update", "--quiet=2"])
        apt_get(["download", *packages], folder=partial / "debs")
    for package in sorted((partial / "debs").glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", str(package), str(partial / "root")], check=True)
    (partial / "root").rename(target)
    shutil.rmtree(partial)
    return target
