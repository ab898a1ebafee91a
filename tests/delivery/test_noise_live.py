"""The noise report and the dashboard's panel of it, on a real Prometheus that holds a week of ALERTS."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pytest import approx

from tests.dashboards.model import Panel, panels
from tools import noise
from tools.binaries import find
from tools.ports import free_ports

from .daemons import LOCAL, Daemon

LABELS = {
    "PodCrashLooping": {"severity": "critical", "component": "workloads", "team": "apps"},
    "HighCPUUsage": {"severity": "warning", "component": "nodes", "team": "platform"},
    "NodeCordoned": {"severity": "info", "component": "nodes", "team": "platform"},
    "EndpointDown": {"severity": "critical", "component": "blackbox", "team": "apps"},
    "Watchdog": {"severity": "none", "component": "monitoring", "team": "platform"},
}
Spans = list[tuple[int, int]]
MINUTES = noise.WEEK // 60
FIRED: list[tuple[str, dict[str, str], Spans]] = [
    # Gone by itself, eight times; once with a pause of a minute, which is no end.
    ("HighCPUUsage", {"cluster": "prod", "node": "w1"}, [(1000 * n, 5) for n in range(1, 9)] + [(1006, 4)]),
    ("HighCPUUsage", {"cluster": "dev", "node": "d1"}, [(500, 10), (2500, 11), (4000, 300)]),
    # Short ones close behind each other, and a long one right after a short one.
    ("PodCrashLooping", {"cluster": "prod", "pod": "a"}, [(3000, 3), (3007, 3), (3014, 3), (3021, 40)]),
    ("PodCrashLooping", {"cluster": "prod", "pod": "b"}, [(3000, 9), (9000, 10)]),
    ("NodeCordoned", {"cluster": "prod", "node": "w2"}, [(100, 4000)]),
    # It still fires.
    ("EndpointDown", {"cluster": "prod", "instance": "https://www.example.com/"}, [(6000, 2), (MINUTES - 30, 31)]),
    ("Watchdog", {"cluster": "prod"}, [(0, MINUTES + 1)]),
]


@dataclass
class Live:
    """A Prometheus, and the week of its data."""

    url: str
    start: int
    end: int

    def ask(self, query: str) -> dict[tuple[str, str], float]:
        """Value by alert and cluster, at the last minute of which the report asks."""
        options = urllib.parse.urlencode({"query": query, "time": self.end - noise.STEP})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{options}", timeout=60) as answer:
            found = json.load(answer)["data"]["result"]
        return {(one["metric"]["alertname"], one["metric"]["cluster"]): float(one["value"][1]) for one in found}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("noise")
    end = int(time.time()) // 60 * 60
    start = end - noise.WEEK
    text = folder / "alerts.txt"
    text.write_text("".join(f"{line}\n" for line in (*samples(start), "# EOF")))
    blocks = [str(find("promtool")), "tsdb", "create-blocks-from", "openmetrics", "-q", str(text), str(folder / "tsdb")]
    subprocess.run(blocks, check=True, capture_output=True)
    (folder / "prometheus.yaml").write_text("{}")
    [port] = free_ports(1)
    command = [
        str(find("prometheus")),
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address={LOCAL}:{port}",
        # Prometheus marks the end of an alert; a backfill cannot.
        "--query.lookback-delta=30s",
    ]
    prometheus = Daemon(folder, command, port, "/-/ready")
    prometheus.start()
    try:
        prometheus.wait()
        yield Live(prometheus.url, start, end)
    finally:
        prometheus.stop()


def samples(start: int) -> Iterator[str]:
    """ALERTS in OpenMetrics, each 30 s."""
    for name, own, spans in FIRED:
        labels = {"alertname": name, "alertstate": "firing", **LABELS[name], **own}
        series = "ALERTS{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
        for begin, length in sorted(spans):
            for half in range(2 * length):
                yield f"{series} 1 {start + 60 * begin + 30 * half}"


def counted(live: Live) -> dict[tuple[str, str, int], noise.Noise]:
    return noise.count(noise.read(live.url, live.start, live.end), live.start, live.end)


def test_the_report_counts_what_fired(live: Live) -> None:
    found = {
        key: (one.firings, one.ended, one.short, one.seconds // 60, len(one.ids)) for key, one in counted(live).items()
    }
    assert found == {
        ("HighCPUUsage", "prod", 0): (8, 8, 8, 45, 1),
        ("HighCPUUsage", "dev", 0): (3, 3, 1, 321, 1),
        ("PodCrashLooping", "prod", 0): (6, 6, 5, 68, 2),
        ("NodeCordoned", "prod", 0): (1, 1, 0, 4000, 1),
        ("EndpointDown", "prod", 0): (2, 1, 1, 32, 1),
    }


def test_the_report_names_what_nobody_acted_on(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["noise", "--url", live.url, "--weeks", "1"])
    noise.main()
    lines = capsys.readouterr().out.splitlines()
    marked = [line for line in lines if "probably nobody acted" in line]
    assert len(marked) == 2
    assert {line.split("│")[1].strip() for line in marked} == {"HighCPUUsage", "PodCrashLooping"}
    assert "Watchdog" not in "".join(lines)


def test_the_dashboard_shows_the_same_numbers(live: Live) -> None:
    [panel] = [panel for panel in panels() if panel.key == ("alerts-overview", "Noise in 7 days")]
    report = {(name, cluster): one for (name, cluster, _), one in counted(live).items()}
    columns = columns_of(panel)
    assert live.ask(columns["Firings"]) == {key: one.firings for key, one in report.items()}
    # The report takes a pause that is no end for firing.
    paused = {("HighCPUUsage", "prod"): 1}
    minutes = {key: one.seconds / 60 - paused.get(key, 0) for key, one in report.items()}
    assert {key: value / 60 for key, value in live.ask(columns["Firing for"]).items()} == minutes
    shares = {key: approx(one.share) for key, one in report.items() if one.ended}
    assert live.ask(columns["Gone within 10 min"]) == shares


def columns_of(panel: Panel) -> dict[str, str]:
    """The query behind each column, as Grafana sends it."""
    [names] = [one["options"]["renameByName"] for one in panel.raw["transformations"] if one["id"] == "organize"]
    return {names[f"Value #{one.raw['refId']}"]: panel.dashboard.fill_in(one.expr) for one in panel.targets}
