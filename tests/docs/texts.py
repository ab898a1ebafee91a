"""The texts of the project, and the code in them."""

import re
from collections.abc import Iterator
from pathlib import Path

from tools.synth import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").glob("*.md")])
CODE = re.compile(r"```(?P<kind>\w*)\n(?P<block>.*?)```|`(?P<span>[^`\n]+)`", re.DOTALL)
_MAKE = re.compile(r"(?:^|[\s\[&;(])make ([a-z][a-z-]*)(?![\w./])")


def names(paths: list[Path]) -> list[str]:
    """Paths as they stand in the project."""
    return [str(path.relative_to(ROOT)) for path in paths]


def code(path: Path) -> Iterator[tuple[str, str]]:
    """Blocks and spans of code with the kind of the block; of files that are no Markdown the whole text."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        yield "", text
        return
    for match in CODE.finditer(text):
        yield match["kind"] or "", match["block"] or match["span"] or ""


def targets_in(text: str) -> list[str]:
    """Targets of make that a text names."""
    return _MAKE.findall(text)
