"""The sizing calculator, and the tables of the page that are computed by it."""

import re
import subprocess
import sys

import pytest
import yaml

from components import central_logs
from settings import parse
from settings.base import amount
from tools.sizing import HUB, agents, loki, prometheus, series
from tools.synth import ROOT, synthesize

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


@pytest.mark.parametrize(("said", "counted"), [("yes", True), ("no", False), ("", False)])
def test_make_counts_the_second_agent_only_where_it_is_asked_to(said: str, counted: bool) -> None:
    command = ["make", "--dry-run", "sizing", "NODES=1", "PODS=1", "LOGS=1", f"CENTRAL_LOGS={said}"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert ("--central-logs" in shown) is counted


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


def test_the_agents_of_the_page_are_what_the_calculator_says() -> None:
    for name, (cpu, memory) in agents(to_hub=True).items():
        assert re.search(rf"^\| {name}[^|]* \| {cpu}m, {memory}Mi\b", PAGE, re.MULTILINE), name
    cpu, memory = agents(to_hub=True)[central_logs.APP]
    all_nodes = f"100 nodes, {cpu / 10:.1f} cores and {memory * 100 / 1024:.1f} GiB"
    assert f"{cpu}m and {memory}Mi more on every node: {all_nodes}" in " ".join(PAGE.split())


def test_a_spoke_has_one_log_agent_more_on_every_node() -> None:
    """Those of the DaemonSets that the program makes, and node-exporter, which comes with the chart."""
    config = {"cluster": {"name": "a", "distribution": "kubeadm"}, "alertmanager": {"heartbeat": "none"}}
    for to_hub in (False, True):
        sections = config | ({"centralLogs": HUB} if to_hub else {})
        secrets = {HUB["passwordSecret"]: "x"} if to_hub else {}
        program = synthesize("a", {f"observability:{key}": value for key, value in sections.items()}, secrets=secrets)
        made = {
            one.inputs["metadata"]["name"]: sum(
                round(amount(container["resources"]["requests"]["cpu"]) * 1000)
                for container in one.inputs["spec"]["template"]["spec"]["containers"]
            )
            for one in program.resources
            if one.type.endswith(":DaemonSet")
        }
        counted = {name: cpu for name, (cpu, _) in agents(to_hub).items()}
        assert counted.pop("node-exporter")
        assert counted == made
        assert (central_logs.APP in counted) is to_hub


def test_what_the_agents_request_is_said() -> None:
    command = [sys.executable, "-m", "tools.sizing", "--nodes", "40", "--pods", "1000", "--logs", "1"]
    said = [
        subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True).stderr
        for more in ([], ["--central-logs"])
    ]
    assert "promtail, node-exporter request 120m and 160Mi: 4.8 cores and 6.2 GiB of the cluster" in said[0]
    assert "promtail, central-logs, node-exporter request 170m and 288Mi: 6.8 cores and 11.2 GiB" in said[1]


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
