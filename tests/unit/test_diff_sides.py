"""Both sides of a change: a commit and the work tree, each rendered by its own code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.console import UserError
from tools.diff import sides
from tools.diff.compare import compare
from tools.diff.report import words
from tools.synth import ROOT


def test_an_unknown_base_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="git cannot read 'no-such-branch'"):
        sides.extract("no-such-branch", tmp_path)


def test_a_link_out_of_the_tree_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, folder = tmp_path / "repository", tmp_path / "folder"
    repository.mkdir()
    folder.mkdir()
    (repository / "file").write_text("text")
    (repository / "inside").symlink_to("file")
    (repository / "absolute").symlink_to("/etc/hostname")
    (repository / "outside").symlink_to("../../etc/hostname")
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    for command in (("init", "--quiet"), ("add", "."), (*who, "commit", "--quiet", "--message", "links")):
        subprocess.run(["git", *command], cwd=repository, check=True)
    monkeypatch.setattr(sides, "ROOT", repository)
    sides.extract("HEAD", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["file", "inside"]


def test_a_base_that_this_program_cannot_render_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sides, "extract", lambda base, folder: (folder / "Pulumi.dev.yaml").write_text("config: {}"))
    with pytest.raises(UserError, match=r"^v0 cannot be rendered by its own code.*ModuleNotFoundError") as caught:
        sides.both("v0")
    assert "\n" not in str(caught.value)


def test_a_gate_of_another_name_is_refused_at_once() -> None:
    command = [sys.executable, "-m", "tools.diff", "--fail-on", "lost-panel"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ})
    assert result.returncode == 2
    assert "lost-alert" in result.stderr


def test_a_tree_is_rendered_by_its_own_code(tmp_path: Path) -> None:
    """A tree of another version: its alerts, its stack files, and a mistake in one of them."""
    for name in ("components", "settings", "tools", "rules", "dashboards", "__main__.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    text = (ROOT / "Pulumi.dev.yaml").read_text()
    (tmp_path / "Pulumi.mine.yaml").write_text(text)
    (tmp_path / "Pulumi.wrong.yaml").write_text(text.replace("distribution: local", "distribution: locale"))
    environment = {**os.environ, "OBSERVABILITY_CHARTS": str(tmp_path / "none")}
    file = tmp_path / "side.json"
    command = [sys.executable, "-P", str(sides.COLLECT), str(tmp_path), str(file)]
    subprocess.run(command, cwd=tmp_path, check=True, env=environment)
    collected = json.loads(file.read_text())
    assert "'locale'" in collected["wrong"]["error"]
    assert len(collected["mine"]["objects"]) > 50
    (mine, wrong) = compare(collected, collected)
    assert (mine.changes, words(wrong)) == ((), "cannot be rendered")
