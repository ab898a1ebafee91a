"""The workflows are what GitHub takes: keys, expressions, contexts, inputs of actions and of each other."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tools.binaries import find
from tools.engine import FASTER
from tools.synth import ROOT

FOLDER = ROOT / ".github" / "workflows"


def actionlint(*files: Path) -> subprocess.CompletedProcess[str]:
    # Of two programs that it would ask too it finds none or some: the result must not depend on the machine.
    command = [str(find("actionlint")), "-shellcheck=", "-pyflakes=", "-no-color", *map(str, files)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_actionlint_finds_nothing() -> None:
    files = sorted(FOLDER.glob("*.yml"))
    assert len(files) >= 5
    result = actionlint(*files)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", ["deploy-stack", "drift", "pull-request"])
def test_the_engine_runs_as_by_make_up(name: str) -> None:
    jobs = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))["jobs"].values()
    [environment] = [job["env"] for job in jobs if "PULUMI_BACKEND_URL" in job.get("env", {})]
    # Unset there, and false to undo what a shell may have set.
    expected = {key: value for key, value in FASTER.items() if key != "PULUMI_DIY_BACKEND_GZIP"} | {"GOGC": "400"}
    assert {key: environment.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("runs-on:", "run-on:", "unexpected key"),
        ("${{ github.", "${{ gitlab.", "undefined variable"),
        ("timeout-minutes:", "timeout-minute:", "unexpected key"),
    ],
)
def test_a_mistake_is_found(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    text = (FOLDER / "pull-request.yml").read_text(encoding="utf-8")
    assert right in text
    file = tmp_path / "pull-request.yml"
    file.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    result = actionlint(file)
    assert result.returncode == 1
    assert said in result.stdout
