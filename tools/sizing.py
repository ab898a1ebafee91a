"""`make sizing NODES=10 PODS=300 LOGS=0.25`: volumes and requests for such a cluster, as a piece of a stack file.

Rules of thumb, explained in docs/sizing.md: half or double of them is usual. Measure where something runs already.
"""

import argparse
import math
from typing import Any

import yaml

from components import central_logs, chart_targets
from settings import parse
from settings.base import amount
from tools.console import UserError, run, say

SERIES_PER_NODE = 2000
"""node-exporter, kubelet and the node's share of the rest."""
SERIES_PER_POD = 150
"""cAdvisor and kube-state-metrics."""
STATE_PER_POD = 60
"""Those of kube-state-metrics, which is scraped twice as often as the others."""
BYTES_PER_SAMPLE = 2
"""On disk; Prometheus' own documentation says one to two."""
BLOCKS = 0.8
"""Share of the volume that blocks may fill."""
MEMORY_PER_SERIES = 8 * 2**10
MEMORY_BASE = 256 * 2**20
COMPRESSION = 5
"""Received bytes of ordinary text for each stored one, with the compression that is the default."""
RESERVE = 1.3
DAY = 86400
MIB = 2**20
GIB = 2**30
HUB = {"url": "https://logs.hub.example.com", "passwordSecret": "hubLogs"}
# Received MiB/s up to which the row holds; cpu, memory, limit; volume of a pod, None where it holds the chunks itself.
LOKI: list[tuple[float, str, str, str, str | None]] = [
    (0.05, "250m", "512Mi", "2Gi", None),
    (0.25, "500m", "1Gi", "4Gi", None),
    (1.0, "1", "2Gi", "6Gi", "20Gi"),
    (4.0, "2", "6Gi", "12Gi", "50Gi"),
]


def series(nodes: int, pods: int) -> int:
    """Time series of a cluster."""
    return nodes * SERIES_PER_NODE + pods * SERIES_PER_POD


def prometheus(nodes: int, pods: int, days: int, interval: int = 30) -> dict[str, Any]:
    """Section `prometheus` for a cluster, kept for `days`, scraped every `interval` seconds."""
    count = series(nodes, pods)
    stored = (count + pods * STATE_PER_POD) / interval * DAY * days * BYTES_PER_SAMPLE / BLOCKS
    halves = math.ceil((count * MEMORY_PER_SERIES + MEMORY_BASE) / (GIB / 2))
    resources = {
        "cpu": f"{max(200, count // 500)}m",
        "memory": _half_gib(halves),
        "memoryLimit": _half_gib(max(4, halves * 2)),
    }
    return {"retention": f"{days}d", "volumeSize": f"{max(5, math.ceil(stored / GIB))}Gi", "resources": resources}


def _half_gib(halves: int) -> str:
    return f"{halves // 2}Gi" if halves % 2 == 0 else f"{halves * 512}Mi"


def loki(rate: float, days: int) -> dict[str, Any]:
    """Section `loki` for `rate` MiB/s of received lines, kept for `days`; distributed above the last row of LOKI."""
    largest, cpu, memory, memory_limit, volume = next((row for row in LOKI if rate <= row[0]), LOKI[-1])
    cpu_limit = f"{max(1, math.ceil(amount(cpu) * 2))}"
    resources = {"cpu": cpu, "memory": memory, "memoryLimit": memory_limit, "cpuLimit": cpu_limit}
    # A burst is twice the mean at least; the default is enough for the small ones.
    limits = (
        {"limits": {"ingestionRateMb": math.ceil(rate * 4), "ingestionBurstSizeMb": math.ceil(rate * 8)}}
        if rate > 2
        else {}
    )
    if volume:
        storage = {"type": "s3", "bucket": "example-loki", "region": "eu-central-1"}
        # An ingester takes what a replica of the last row takes, which is its share of three copies.
        times = math.ceil(rate / largest)
        parts = {"distributors": max(3, times), "ingesters": 3 * times, "queriers": 3 * times}
        pods: dict[str, Any] = {"replicas": 3} if times == 1 else {"mode": "distributed", "parts": parts}
        return {
            **pods,
            "storage": storage,
            "retention": f"{days}d",
            "volumeSize": volume,
            "resources": resources,
        } | limits
    stored = rate * 2**20 * DAY * days / COMPRESSION * RESERVE
    return {"retention": f"{days}d", "volumeSize": f"{max(5, math.ceil(stored / GIB))}Gi", "resources": resources}


def agents(to_hub: bool) -> dict[str, tuple[int, int]]:
    """What each pod requests that runs on every node, by its name: millicores and MiB. `to_hub`: with `centralLogs`."""
    sections = {"cluster": {"name": "any", "distribution": "kubeadm"}, "alertmanager": {"heartbeat": "none"}}
    settings = parse(sections | ({"centralLogs": HUB} if to_hub else {}), "sizing", check_secrets=False)
    found: dict[str, Any] = {settings.log_agent.program: settings.log_agent.resources.manifest()}
    if settings.central_logs:
        found[central_logs.APP] = settings.central_logs.resources.manifest()
    found["node-exporter"] = chart_targets.node_exporter(settings)["resources"]
    return {
        name: (round(amount(both["requests"]["cpu"]) * 1000), round(amount(both["requests"]["memory"]) / MIB))
        for name, both in found.items()
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.sizing", description=__doc__)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--pods", type=int, required=True)
    parser.add_argument("--logs", type=float, required=True, help="MiB/s of log lines of the whole cluster")
    parser.add_argument("--days", type=int, default=10, help="retention of metrics (default: 10)")
    parser.add_argument("--log-days", type=int, default=7, help="retention of logs (default: 7)")
    parser.add_argument("--central-logs", action="store_true", help="the lines go to the Loki of a hub as well")
    arguments = parser.parse_args()
    if min(arguments.nodes, arguments.pods, arguments.days, arguments.log_days) < 1 or arguments.logs <= 0:
        raise UserError("nodes, pods, days and logs are numbers above zero: make sizing NODES=10 PODS=300 LOGS=0.25")
    count = series(arguments.nodes, arguments.pods)
    say(f"About {count} series, {arguments.logs * DAY / 1024:.1f} GiB of lines a day.")
    on_node = agents(arguments.central_logs)
    cpu, memory = (sum(both[index] for both in on_node.values()) for index in (0, 1))
    together = f"{cpu * arguments.nodes / 1000:.1f} cores and {memory * arguments.nodes / 1024:.1f} GiB of the cluster"
    say(f"On every node {', '.join(on_node)} request {cpu}m and {memory}Mi: {together}.")
    metrics = prometheus(arguments.nodes, arguments.pods, arguments.days)
    sections = {"prometheus": metrics, "loki": loki(arguments.logs, arguments.log_days)}
    print(
        yaml.safe_dump({f"observability:{name}": section for name, section in sections.items()}, sort_keys=False),
        end="",
    )


if __name__ == "__main__":
    run(main)
