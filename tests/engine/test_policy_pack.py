"""The policy pack under the real engine: a preview of stack dev passes it, and one violation stops the preview."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from policies.object_rules import RULES
from tools import engine
from tools.cluster import Cluster
from tools.console import UserError
from tools.engine import LocalStack
from tools.synth import ROOT

AGENT = "promtail"
"""A host agent, whose exception is taken away."""


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the pack with its environment."""
    folder = tmp_path_factory.mktemp("pack") / "policies"
    shutil.copytree(ROOT / "policies", folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", str(folder / ".venv")], check=True)
    install = [str(folder / ".venv/bin/pip"), "install", "--quiet", "--requirement", str(folder / "requirements.txt")]
    result = subprocess.run(install, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"THE POLICY PACK IS NOT PROVEN HERE: its packages cannot be had: {result.stderr.strip()[-300:]}")
    return folder


@pytest.fixture(scope="module")
def stack(local: Cluster, tmp_path_factory: pytest.TempPathFactory) -> LocalStack:
    found = engine.find()
    assert isinstance(found, engine.Engine)
    made = LocalStack(found, "dev", tmp_path_factory.mktemp("stack"))
    made.prepare(local.kubeconfig, "http://127.0.0.1:9/{}".format)
    return made


def test_a_preview_passes(stack: LocalStack, pack: Path) -> None:
    said = stack.run("preview", "--policy-pack", str(pack), quiet=True)
    assert "observability" in said[said.index("Polic") :]
    print(f"{len(RULES)} rules, preview passed")


def test_a_violation_stops_the_preview(stack: LocalStack, pack: Path, tmp_path: Path) -> None:
    stricter = tmp_path / "policies"
    shutil.copytree(pack, stricter, symlinks=True)
    rules = stricter / "pod_rules.py"
    text = rules.read_text()
    assert f'"{AGENT}":' in text
    rules.write_text("\n".join(line for line in text.splitlines() if f'"{AGENT}":' not in line) + "\n")
    with pytest.raises(UserError, match=f"DaemonSet/{AGENT}: container {AGENT}: runAsNonRoot"):
        stack.run("preview", "--policy-pack", str(stricter), quiet=True)
