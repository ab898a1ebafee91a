"""A new cluster from nothing, and fifty of them at once."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from settings import SettingsError
from settings.cluster import REFUSED, Distribution
from tools import clusters
from tools.console import UserError
from tools.new_cluster import content, create, next_steps
from tools.synth import ROOT


@pytest.mark.parametrize("distribution", list(Distribution))
def test_the_file_is_accepted_and_says_the_next_steps(tmp_path: Path, distribution: Distribution) -> None:
    file = create("edge", distribution.value, "admin@edge", tmp_path)
    cluster = yaml.safe_load(file.read_text())["config"]["observability:cluster"]
    assert cluster == {"name": "edge", "distribution": distribution.value, "context": "admin@edge", "runs": []}
    steps = next_steps("edge", file.read_text())
    assert "pulumi config set --stack edge --secret observability:heartbeatUrl" in steps
    assert steps.index("stack init edge") < steps.index("make up STACK=edge")


def test_what_is_commented_out_is_right_too(tmp_path: Path) -> None:
    """Every commented line of settings, taken in, still makes a file that passes."""
    text = content("edge", "eks", "edge")
    lines = [re.sub(r"^(\s*)# (?=[a-zA-Z: -]*: ?\S*|\s+-)", r"\1", line) for line in text.splitlines()]
    wanted = [line for line, raw in zip(lines, text.splitlines(), strict=True) if not _is_prose(raw)]
    file = tmp_path / "Pulumi.edge.yaml"
    file.write_text("\n".join(wanted))
    found = clusters.row(file)
    assert not found.error
    assert found.cells[7].startswith("3 x")


def _is_prose(line: str) -> bool:
    bare = line.strip()
    return bare.startswith("#") and (bare.endswith((".", ":")) and not bare.startswith("#  ") and "observ" not in bare)


@pytest.mark.parametrize("name", ["no", "007", "on", "1e3"])
def test_names_that_yaml_reads_as_something_else(tmp_path: Path, name: str) -> None:
    file = create(name, "k3s", "null", tmp_path)
    cluster = yaml.safe_load(file.read_text())["config"]["observability:cluster"]
    assert (cluster["name"], cluster["context"]) == (name, "null")


@pytest.mark.parametrize("name", ["Edge", "../edge", "a b", "", "x" * 41, "a: b", "-a"])
def test_wrong_names_write_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"observability:cluster\.name"):
        create(name, "k3s", "edge", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("distribution", ["openshift", *REFUSED])
def test_wrong_distributions(tmp_path: Path, distribution: str) -> None:
    with pytest.raises(SettingsError, match="distribution"):
        create("edge", distribution, "edge", tmp_path)


def test_nothing_is_overwritten_and_no_cluster_gets_two_stacks(tmp_path: Path) -> None:
    file = create("edge", "k3s", "edge", tmp_path)
    before = file.read_text()
    with pytest.raises(UserError, match=r"Pulumi\.edge\.yaml exists already"):
        create("edge", "eks", "other", tmp_path)
    with pytest.raises(UserError, match=r"Pulumi\.edge\.yaml deploys to the context edge already"):
        create("edge2", "eks", "edge", tmp_path)
    file.rename(tmp_path / "Pulumi.renamed.yaml")
    with pytest.raises(UserError, match=r"Pulumi\.renamed\.yaml is the stack of a cluster called edge"):
        create("edge", "eks", "third", tmp_path)
    assert (tmp_path / "Pulumi.renamed.yaml").read_text() == before


def test_a_missing_value_is_one_message() -> None:
    command = [sys.executable, "-m", "tools.new_cluster", "--name", "edge"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: DISTRIBUTION is missing")
    with pytest.raises(UserError, match="needs a context"):
        create("edge", "eks", None)


def test_every_cluster_is_rendered_beside_one_with_a_mistake(tmp_path: Path) -> None:
    check_clusters(tmp_path, 3)


def check_clusters(folder: Path, count: int) -> None:
    """Write so many stacks, the second with a mistake, and render all of them by one command."""
    kinds = [item.value for item in Distribution]
    for number in range(count):
        create(f"edge-{number:02}", kinds[number % len(kinds)], f"context-{number}", folder)
    wrong = folder / "Pulumi.edge-01.yaml"
    wrong.write_text(wrong.read_text().replace("retention: 7d", "retention: 7"))
    command = [sys.executable, "-m", "tools.clusters", "--folder", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert f"{count} stacks, 1 with mistakes" in result.stderr
    assert "Pulumi.edge-01.yaml: observability:loki.retention" in result.stderr
    assert len(re.findall(r"│ edge-\d\d ", result.stdout)) == count
    assert "has mistakes" in result.stdout


def test_a_folder_without_stacks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.clusters", "--folder", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, "make new-cluster" in result.stderr) == (1, True)
