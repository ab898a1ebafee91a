"""Both sides of a comparison: a commit in a temporary folder, and the work tree as it lies."""

import json
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

from tools.console import UserError, progress
from tools.diff.proof import cases
from tools.synth import ROOT

COLLECT = Path(__file__).parent / "collect.py"


def extract(base: str, folder: Path) -> None:
    """Write the files of a commit into a folder, without touching the work tree.

    Raises UserError where git knows no such commit.
    """
    result = subprocess.run(["git", "archive", base], cwd=ROOT, capture_output=True, check=False)
    if result.returncode:
        raise UserError(
            f"git cannot read {base!r}: {result.stderr.decode().strip()}. Give a branch, tag or commit that this "
            "clone has: make diff BASE=main; a shallow clone needs git fetch --unshallow first"
        )
    with tarfile.open(fileobj=BytesIO(result.stdout)) as archive:
        archive.extractall(folder, filter=_inside)  # noqa: S202 (what _inside lets through is safe)


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    try:
        return tarfile.data_filter(member, folder)
    except (tarfile.AbsoluteLinkError, tarfile.LinkOutsideDestinationError):
        return None  # A link out of the tree is nothing to render, and may not be followed.


def both(base: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each stack asks for at `base` and now, each rendered by its own code. Raises UserError where one fails."""
    with tempfile.TemporaryDirectory() as name, progress(f"Rendering every stack at {base} and now"):
        before = Path(name) / "tree"
        before.mkdir()
        extract(base, before)
        files = [Path(name) / "before.json", Path(name) / "now.json"]
        started = [
            subprocess.Popen(
                [sys.executable, "-P", str(COLLECT), str(tree), str(file)],
                cwd=tree,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for tree, file in zip((before, ROOT), files, strict=True)
        ]
        outputs = [process.communicate()[0] for process in started]
        for process, output, what in zip(started, outputs, (base, "the work tree"), strict=True):
            if process.returncode:
                last = (output.strip().splitlines() or ["no message"])[-1]
                raise UserError(
                    f"{what} cannot be rendered by its own code with the packages of this .venv: {last}. "
                    "Take a newer base, or install that version's requirements"
                )
        before_side, now_side = (json.loads(file.read_text(encoding="utf-8")) for file in files)
        for side, tree in ((before_side, before), (now_side, ROOT)):
            known = cases(tree)
            for stack in side.values():
                stack["cases"] = known
        return before_side, now_side
