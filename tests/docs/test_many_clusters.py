"""Fifty stack files in one command: half a minute and more, so not among the fast tests."""

import re
import subprocess
import sys
from pathlib import Path

from settings.cluster import Distribution
from tools.new_cluster import create
from tools.synth import ROOT


def test_fifty_clusters_in_one_command(tmp_path: Path) -> None:
    kinds = [item.value for item in Distribution]
    for number in range(50):
        create(f"edge-{number:02}", kinds[number % len(kinds)], f"context-{number}", tmp_path)
    wrong = tmp_path / "Pulumi.edge-13.yaml"
    wrong.write_text(wrong.read_text().replace("retention: 7d", "retention: 7"))
    command = [sys.executable, "-m", "tools.clusters", "--folder", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "50 stacks, 1 with mistakes" in result.stderr
    assert "Pulumi.edge-13.yaml: observability:loki.retention" in result.stderr
    assert len(re.findall(r"│ edge-\d\d ", result.stdout)) == 50
    assert "has mistakes" in result.stdout
