"""Where the pages of metrics come from, a mistake is told and is no traceback."""

import sys
from pathlib import Path

import pytest

from tools.console import UserError
from tools.metric_names import main


@pytest.mark.parametrize("place", ["picture.png", "http://127.0.0.1/a page", "http://127.0.0.1:x/", "nowhere.txt"])
def test_what_cannot_be_read_is_said(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    command = ["metric_names", "--exporter", "e", "--version", "v1", "--source", "scraped", place]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(UserError, match=f"^{place} cannot be read: .*; give the URL or the file of a page of metrics$"):
        main()
