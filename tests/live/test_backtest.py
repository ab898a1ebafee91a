"""`make backtest` against a real Prometheus with a backfilled day, and a real Loki with lines of the last hours."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import Settings, parse
from tests.daemon import daemon
from tests.live.logql import daemons
from tests.live.logql.daemons import Server, Servers
from tools import binaries
from tools.backtest.__main__ import evaluate, replay
from tools.backtest.candidates import Candidate, candidates
from tools.backtest.past import without_data
from tools.faults.daemons import until
from tools.ports import free_ports
from tools.reach import Part

STEP = 30
ALERT = "EndpointResponseTimeHigh"
SERIES = 'probe_duration_seconds{job="blackbox-http",instance="https://a.example.com/",service="a",cluster="edge"}'
SLOW = {
    # Begin in seconds before now, seconds, and how slow: a long one, a short one, one that only a lower limit sees.
    20 * 3600: (1200, 6.0),
    10 * 3600: (180, 7.0),
    5 * 3600: (900, 3.5),
}


@cache
def now() -> int:
    """The end of all data: a whole ten minutes, so that steps of 30 s and of 1 m meet every time of this file.

    When the first test asks for it and not when they are collected: Loki's querier asks ingesters for three hours only.
    """
    return int(time.time()) // 600 * 600


def settings(**tuning: object) -> Settings:
    sections = {
        "cluster": {"name": "edge", "distribution": "k3s", "runs": ["nfs"]},
        "alertmanager": {"heartbeat": "none"},
        "alerts": {"tune": tuning},
    }
    return parse(sections, "x")


def seconds_at(moment: int) -> float:
    for before, (length, value) in SLOW.items():
        if now() - before <= moment < now() - before + length:
            return value
    return 0.2


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    folder = tmp_path_factory.mktemp("prometheus")
    text = folder / "history.txt"
    with text.open("w") as file:
        file.writelines(f"{SERIES} {seconds_at(moment)} {moment}\n" for moment in range(now() - 86400, now(), STEP))
        file.write("# EOF\n")
    blocks: list[str | Path] = [
        binaries.find("promtool"),
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "-q",
        text,
        folder / "tsdb",
    ]
    subprocess.run(blocks, check=True, capture_output=True)
    (folder / "prometheus.yaml").write_text("{}")
    [port] = free_ports(1)
    command = [
        binaries.find("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=10d",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with daemon(command, folder / "log") as alive:
        server = Server(port)
        until("start of Prometheus", lambda: alive() and server.answers("/-/ready"))
        yield Part("Prometheus", server.url)


def firings(part: Part, candidate: Candidate) -> list[tuple[int, int]]:
    """Begin and length of each firing of the last day, the begin in seconds before now."""
    return [(now() - firing.begin, firing.seconds) for firing in replay(part, candidate, now() - 86400, now())]


def test_firings_at_the_old_and_at_new_values(prometheus: Part) -> None:
    tried = candidates(settings(), ALERT, ["threshold=3s", "for=1m", "threshold=10s"])
    found = {candidate.names[0]: firings(prometheus, candidate) for candidate in tried}
    long, short, lower = ((before, length) for before, (length, _) in SLOW.items())
    assert found == {
        "rule file": [(long[0] - 300, long[1] - 300)],
        "threshold=3s": [(long[0] - 300, long[1] - 300), (lower[0] - 300, lower[1] - 300)],
        "for=1m": [(long[0] - 60, long[1] - 60), (short[0] - 60, short[1] - 60)],
        "threshold=10s": [],
    }


def test_promtool_says_the_same(prometheus: Part, tmp_path: Path) -> None:
    """The evaluator itself, over the same samples: it fires from the begin to the step before the end."""
    [candidate] = candidates(settings(), ALERT, [])
    [(before, length)] = firings(prometheus, candidate)
    first = now() - 20 * 3600 - 600
    values = " ".join(str(seconds_at(moment)) for moment in range(first, first + 3600, STEP))
    rule = {"alert": ALERT, "expr": candidate.expr, "for": f"{candidate.wait}s"}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}))
    begin = now() - before - first
    labels = {"job": "blackbox-http", "instance": "https://a.example.com/", "service": "a", "cluster": "edge"}
    checks = [
        {"eval_time": f"{moment}s", "alertname": ALERT, "exp_alerts": [{"exp_labels": labels}] if fires else []}
        for moment, fires in (
            (begin - STEP, False),
            (begin, True),
            (begin + length - STEP, True),
            (begin + length, False),
        )
    ]
    test = {"interval": f"{STEP}s", "input_series": [{"series": SERIES, "values": values}], "alert_rule_test": checks}
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{STEP}s", "tests": [test]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(content))
    command: list[str | Path] = [binaries.find("promtool"), "test", "rules", tmp_path / "test.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_report(prometheus: Part, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(settings(), ALERT, ["threshold=3s"], 1.1, prometheus) == 0
    output = capsys.readouterr().out
    assert "rule file = stack edge" in output
    assert time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now() - 20 * 3600 + 300)) in output
    assert "15.0 min  instance=https://a.example.com/, job=blackbox-http, service=a" in output


def test_a_series_that_is_not_there_is_named(prometheus: Part, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(settings(), "NodeNotReady", [], 1, prometheus) == 1
    assert "kube_node_status_condition" in capsys.readouterr().out
    assert without_data(prometheus, "prometheus", "probe_duration_seconds > 5", now() - 86400, now()) == []


@contextmanager
def running_loki(folder: Path) -> Iterator[Server]:
    port, grpc, nobody = free_ports(3)
    server = Server(port)
    config: dict[str, Any] = daemons.loki(folder, Servers(server, Server(nobody), Server(nobody)), grpc=grpc)
    (folder / "loki.yaml").write_text(yaml.safe_dump(config))
    command = [binaries.find("loki"), f"-config.file={folder / 'loki.yaml'}", "-config.expand-env=true"]
    with daemon(command, folder / "log") as alive:
        until("start of Loki", lambda: alive() and server.answers("/ready"))
        yield server


def test_a_log_alert(tmp_path: Path) -> None:
    """Three lines of an NFS server that hangs, then one: the alert looks back 10 minutes each minute."""
    many, one = now() - 2 * 3600, now() - 3600
    moments = [many + 10, many + 11, many + 12, one + 10]
    line = "nfs: server 10.0.0.1 not responding, still trying"
    stream = {"job": "systemd-journal", "app": "kernel", "node": "n1", "cluster": "edge"}
    values = [[str(moment * 10**9), line] for moment in moments]
    with running_loki(tmp_path) as server:
        server.post("/loki/api/v1/push", "main", {"streams": [{"stream": stream, "values": values}]})
        part = Part("Loki", server.url, {"X-Scope-OrgID": "main"})
        until("the lines", lambda: not without_data(part, "loki", '{app="kernel"}', now() - 86400, now()))
        tried = candidates(settings(), "NFSServerNotResponding", ["threshold=2"])
        assert {candidate.evaluator for candidate in tried} == {"loki"}
        begins = [[firing[0] for firing in firings(part, candidate)] for candidate in tried]
        assert begins == [[now() - many - 60, now() - one - 60], [now() - many - 60]]
        assert {length for candidate in tried for _, length in firings(part, candidate)} == {600}
        missing = without_data(part, "loki", 'count_over_time({app="nobody"} |= "x" [5m])', now() - 86400, now())
        assert missing == ['{app="nobody"}']
