"""Every target that the texts name is run: here in a copy of the project, or by a test that has what it needs."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.texts import PAGES, code, names, targets_in
from tools.synth import ROOT

RUN = {
    "help": "make rules",
    "rules": "EndpointDown",
    "routes": "oncall",
    "silences": "",
    "silences-check": "",
    "sizing": "volumeSize",
    "render": "objects of stack",
    "diff": "nothing changes",
    "docs": "wrote",
    "new-cluster": "Pulumi.edge.yaml is written",
    "clusters": "with mistakes",
}
"""Targets that are run here, and a word of what they say."""
VARIABLES = {
    "rules": "STACK=prod",
    "routes": "STACK=prod",
    "sizing": "NODES=10 PODS=300 LOGS=0.25",
    "diff": "BASE=HEAD",
    "new-cluster": "NAME=edge DISTRIBUTION=k3s CONTEXT=edge ENVIRONMENT=prod",
}
ELSEWHERE = {
    "setup": ".ci/run: every other target needs it",
    "up": "tests/local/conftest.py up_local",
    "down": "tests/local/conftest.py cluster.stop",
    "preview": "tests/engine/test_engine.py preview",
    "logs": "tests/local/test_stack.py query_range",
    "inbox": "tests/local/test_stack.py inbox",
    "fire": "tests/local/test_stack.py fire.fire",
    "verify": "tests/local/test_verify.py verify",
    "backtest": "tests/live/test_backtest.py evaluate",
    "noise": "tests/delivery/test_noise.py noise",
    "faults": "tests/live/pipeline/test_faults.py faults",
    "mutate": ".github/workflows/weekly.yml make mutate",
    "fuzz": "tests/security/test_fuzz.py OBSERVABILITY_FUZZ_EXAMPLES",
    "lint": ".ci/run make lint",
    "test": ".ci/run make test",
    "test-all": ".ci/run make test-all",
    "bench-rules": "bench/rule_cost.py def main",
    "bench-logs": "bench/log_pipeline.py def main",
    "pin-images": "tests/security/test_images.py pin_images(",
    "resources": "tests/state/test_resources.py last_release()",
    "backup": "tests/local/test_volumes.py backup.save(",
    "restore": "tests/local/test_volumes.py backup.restore(",
}
"""Targets that need a cluster, a daemon or much time: the file that runs what they run, and a word of it."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project as a repository of its own: the targets may write, and `make diff` needs a commit."""
    folder = tmp_path_factory.mktemp("copy") / "project"
    ignored = shutil.ignore_patterns(".git", ".venv", "out", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=ignored)
    git = ["git", "-c", "user.name=docs", "-c", "user.email=docs@example.com"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=copy"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    yield folder


def test_every_target_of_the_texts_is_run_somewhere() -> None:
    named = {target for page in names(PAGES) for _, text in code(ROOT / page) for target in targets_in(text)}
    unknown = sorted(named - set(RUN) - set(ELSEWHERE))
    assert not unknown, f"no test runs make {', make '.join(unknown)}"
    assert len(named) > 20


@pytest.mark.parametrize("target", ELSEWHERE)
def test_what_runs_elsewhere_is_there(target: str) -> None:
    file, _, word = ELSEWHERE[target].partition(" ")
    assert word in (ROOT / file.rstrip(":")).read_text() or file.endswith(":")


@pytest.mark.parametrize("target", RUN)
def test_a_target_runs(copy: Path, target: str) -> None:
    command = ["make", target, *VARIABLES.get(target, "").split()]
    environment = {**os.environ, "OBSERVABILITY_CHARTS": str(copy / "no-charts")}
    # The copy's .venv is a link, so its marker is as old as the real one's: no set-up is due.
    command.append("--assume-old=.venv/installed")
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert RUN[target] in done.stdout + done.stderr
