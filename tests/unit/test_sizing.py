"""The sizing calculator, and the tables of the page that are computed by it."""

import re
import subprocess
import sys

import pytest
import yaml

from settings import parse
from settings.base import amount
from tools.sizing import loki, prometheus, series
from tools.synth import ROOT

PAGE = (ROOT / "docs" / "sizing.md").read_text()


@pytest.mark.parametrize(
    ("nodes", "pods", "logs"), [(1, 10, 0.01), (3, 60, 0.05), (50, 1500, 1), (150, 4500, 4), (400, 9000, 9)]
)
def test_every_answer_is_a_valid_piece_of_a_stack_file(nodes: int, pods: int, logs: float) -> None:
    command = [sys.executable, "-m", "tools.sizing", "--nodes", str(nodes), "--pods", str(pods), "--logs", str(logs)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    sections = {key.removeprefix("observability:"): value for key, value in yaml.safe_load(result.stdout).items()}
    rest = {"cluster": {"name": "a", "distribution": "eks"}, "alertmanager": {"heartbeat": "none"}}
    settings = parse({**sections, **rest}, "sizing", check_secrets=False)
    assert settings.loki.replication_factor == (1 if logs <= 0.25 else 3)
    assert settings.loki.distributed is (logs > 4)


def test_the_tables_of_the_page_are_what_the_calculator_says() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) \| ([\d,]+) \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 4
    for nodes, pods, count, ten, month, memory, limit in rows:
        size = int(nodes), int(pods)
        assert f"{series(*size):,}" == count
        assert (prometheus(*size, 10)["volumeSize"], prometheus(*size, 35)["volumeSize"]) == (ten, month)
        resources = prometheus(*size, 10)["resources"]
        assert (resources["memory"], resources["memoryLimit"]) == (memory, limit)
    rows = re.findall(
        r"^\| ([\d.]+) MiB/s \| .* \| (\d), .* \| (\w+)[^|]* \| (\w+), (\w+), (\w+) \|$", PAGE, re.MULTILINE
    )
    assert len(rows) == 4
    for rate, replicas, volume, *resources_of in rows:
        found = loki(float(rate), 7)
        assert [found.get("replicas", 1), found["volumeSize"]] == [int(replicas), volume]
        assert [found["resources"][key] for key in ("cpu", "memory", "memoryLimit")] == resources_of


def test_more_of_anything_is_never_less() -> None:
    small = prometheus(20, 400, 10)
    assert amount(prometheus(20, 400, 20)["volumeSize"]) > amount(small["volumeSize"])
    assert amount(prometheus(20, 400, 10, 15)["volumeSize"]) > amount(small["volumeSize"])
    assert amount(prometheus(200, 4000, 10)["resources"]["memory"]) > amount(small["resources"]["memory"])
    assert amount(loki(0.2, 14)["volumeSize"]) > amount(loki(0.2, 7)["volumeSize"])


def test_above_the_table_the_parts_are_apart() -> None:
    parts = {rate: loki(rate, 7)["parts"] for rate in (5, 10, 20)}
    assert parts[10] == {"distributors": 3, "ingesters": 9, "queriers": 9}
    assert parts[5]["ingesters"] < parts[10]["ingesters"] < parts[20]["ingesters"]


def test_nothing_is_no_size() -> None:
    command = [sys.executable, "-m", "tools.sizing", "--nodes", "0", "--pods", "1", "--logs", "1"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, "above zero" in result.stderr) == (1, True)
