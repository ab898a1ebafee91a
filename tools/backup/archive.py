"""One folder of data as one compressed archive: streamed out of a command, and into one."""

import gzip
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.console import UserError

BLOCK = 1 << 20
FAST = 1
"""Compression level: chunks and blocks are compressed already."""


@dataclass(frozen=True)
class Volume:
    """A folder of data wherever it is. `within` is the start of every command line: empty on this machine."""

    folder: str
    within: tuple[str, ...] = ()

    def reading(self) -> list[str]:
        """Command that writes the folder to its standard output."""
        return [*self.within, "tar", "-cf", "-", "-C", self.folder, "."]

    def emptying(self) -> list[str]:
        """Command that removes whatever is in the folder. Not every busybox has a `find` that deletes."""
        return [*self.within, "sh", "-c", 'rm -rf "$1"/* "$1"/.[!.]* "$1"/..?*', "sh", self.folder]

    def writing(self) -> list[str]:
        """Command that fills the folder from its standard input."""
        return [*self.within, "tar", "-xf", "-", "-C", self.folder]

    def removing(self, path: str) -> list[str]:
        """Command that removes one path below the folder."""
        return [*self.within, "rm", "-rf", f"{self.folder}/{path}"]


def save(volume: Volume, file: Path) -> str:
    """Write the volume into `file`; returns the SHA-256 of the file.

    Raises UserError where the folder cannot be read as a whole; then there is no file.
    """
    partial = file.with_name(f".{file.name}")
    with subprocess.Popen(volume.reading(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        with gzip.open(partial, "wb", FAST) as archive:
            shutil.copyfileobj(process.stdout, archive, BLOCK)
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        partial.unlink()
        raise UserError(f"{volume.folder} was not read as a whole: {said[-500:]}\nRun the backup again.")
    partial.rename(file)
    return digest(file)


def restore(volume: Volume, file: Path, leave_out: Sequence[str] = ()) -> None:
    """Replace what the volume holds by the archive, without the paths of `leave_out`.

    Raises UserError with the command's own words.
    """
    run(volume.emptying(), f"emptying {volume.folder}")
    with subprocess.Popen(volume.writing(), stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stderr
        try:
            with gzip.open(file, "rb") as archive, process.stdin:
                shutil.copyfileobj(archive, process.stdin, BLOCK)
        except BrokenPipeError:
            pass  # what tar says tells more
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise UserError(f"{file.name} did not get into {volume.folder}: {said[-500:]}")
    for path in leave_out:
        run(volume.removing(path), f"removing {path} from {volume.folder}")


def run(command: Sequence[str], doing: str) -> None:
    """Run a command. Raises UserError with `doing` and its own words."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(f"{doing} failed: {result.stderr.strip()[-500:]}")


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
