"""A hub and two clusters that write to it, all real: a fault of the hub loses nothing, and a dead cluster is told."""

import base64
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from components import remote_write
from components.alert_rules import HUB
from components.stack import select_rules
from settings import Settings, parse
from tests.daemon import daemon
from tests.live.logql.daemons import Server
from tools import binaries
from tools.faults.daemons import until
from tools.ports import free_ports
from tools.reach import Part
from tools.verify import hub as verify_hub

PASSWORD = "p-of-edge"
SECOND = "1s"


def settings(cluster: str, **sections: Any) -> Settings:
    config = {"cluster": {"name": cluster, "distribution": "k3s"}, "alertmanager": {"heartbeat": "none"}, **sections}
    return parse(config, "x", check_secrets=False)


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def as_prometheus_reads_it(spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An entry of `remoteWrite` as the operator writes it into the configuration, with the Secret's values in files."""
    queue = {snake(key): value for key, value in spec["queueConfig"].items() if key != "retryOnRateLimit"}
    # Seconds instead of half a minute, so that the test need not wait for the longest pause.
    queue |= {"retry_on_http_429": spec["queueConfig"]["retryOnRateLimit"], "max_backoff": SECOND}
    (folder / "password").write_text(PASSWORD)
    assert spec["basicAuth"]["password"] == {"name": remote_write.SECRET, "key": "hubPassword"}
    keep = [{snake(key): value for key, value in entry.items()} for entry in spec["writeRelabelConfigs"]]
    return {
        "url": spec["url"],
        "name": spec["name"],
        "remote_timeout": spec["remoteTimeout"],
        "queue_config": queue,
        "write_relabel_configs": keep,
        "basic_auth": {"username": "edge", "password_file": str(folder / "password")},
    }


@dataclass
class Ingress:
    """What stands before a hub: asks for a password, and can be out of order."""

    port: int
    status: int = 0
    """Answer of every write instead of the hub's; 0 where the hub answers."""
    refused: int = 0


@contextmanager
def ingress(target: str) -> Iterator[Ingress]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            login = base64.b64encode(f"edge:{PASSWORD}".encode()).decode()
            status = 401 if self.headers["Authorization"] != f"Basic {login}" else state.status
            if not status:
                headers = {key: value for key, value in self.headers.items() if key.startswith(("Content-", "X-"))}
                status = forward(urllib.request.Request(f"{target}{self.path}", data=body, headers=headers))
            state.refused += status >= 400
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Ingress(server.server_port)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def forward(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 502


@contextmanager
def prometheus(folder: Path, config: dict[str, Any], *options: str) -> Iterator[Server]:
    [port] = free_ports(1)
    folder.mkdir(exist_ok=True)
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config | scrape_itself(port, config)))
    command = [binaries.find("prometheus"), f"--config.file={folder / 'prometheus.yaml'}", *options]
    with daemon([*command, f"--web.listen-address=127.0.0.1:{port}"], folder / "log") as alive:
        server = Server(port)
        until("start of Prometheus", lambda: alive() and server.answers("/-/ready"))
        yield server


def scrape_itself(port: int, config: dict[str, Any]) -> dict[str, Any]:
    if "remote_write" not in config:
        return {}
    labels = {"cluster": config["remote_write"][0]["name"]}
    job = {"job_name": "kube-prometheus-stack-prometheus", "scrape_interval": SECOND, "scrape_timeout": SECOND}
    return {"scrape_configs": [{**job, "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": labels}]}]}


@contextmanager
def spoke(cluster: str, door: Ingress, folder: Path) -> Iterator[Server]:
    folder.mkdir()
    target = {"url": f"http://127.0.0.1:{door.port}/api/v1/write", "name": cluster, "keep": "up|scrape_.*"}
    login = {"username": "edge", "passwordSecret": "hubPassword"}
    [spec] = remote_write.specs(settings(cluster, prometheus={"remoteWrite": [target | login]}))
    config = {"remote_write": [as_prometheus_reads_it(spec, folder)]}
    with prometheus(folder, config, "--agent", f"--storage.agent.path={folder / 'wal'}") as server:
        yield server


def hub_rules(folder: Path) -> Path:
    """The rules that the hub's Prometheus selects, in seconds instead of minutes."""
    selection, _ = select_rules(settings("hub", hub={"enabled": True}))
    [file] = [file for file in selection.files if file.name == HUB]
    groups = [{**group, "interval": SECOND} for group in file.groups]
    for rule in groups[0]["rules"]:
        assert "[7d:5m]" in rule["expr"]
        rule |= {"expr": rule["expr"].replace("[7d:5m]", "[5m:1s]"), "for": "2s"}
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


@pytest.mark.parametrize("status", [503, 429])
def test_a_hub_that_is_out_of_order_gets_everything_later(tmp_path: Path, status: int) -> None:
    receiver = ["--web.enable-remote-write-receiver", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    with ExitStack() as stack:
        server = stack.enter_context(prometheus(tmp_path / "hub", {}, *receiver))
        door = stack.enter_context(ingress(server.url))
        edge = stack.enter_context(spoke("edge", door, tmp_path / "edge"))
        until("first samples", lambda: value(server, 'up{cluster="edge"}') == 1)
        door.status, door.refused = status, 0
        began, before = time.time(), scrapes(edge)
        until("refused writes", lambda: door.refused >= 3 and scrapes(edge) >= before + 3)
        wanted, ended = scrapes(edge) - before, time.time()
        door.status = 0
        # One scrape may have begun before, and one may still be under way.
        query = f'count_over_time(up{{cluster="edge"}}[{ended - began + 1:.0f}s] @ {ended + 1:.3f})'
        until("samples of the time of the fault", lambda: value(server, query) >= wanted)


def test_a_cluster_that_stopped_sending_is_told_at_the_hub(tmp_path: Path) -> None:
    options = [
        "--web.enable-remote-write-receiver",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        # Five minutes in production: a series without new samples is gone after it.
        "--query.lookback-delta=10s",
    ]
    with ExitStack() as stack:
        server = stack.enter_context(prometheus(tmp_path / "hub", {"rule_files": [str(hub_rules(tmp_path))]}, *options))
        door = stack.enter_context(ingress(server.url))
        edge = stack.enter_context(ExitStack())
        edge.enter_context(spoke("edge", door, tmp_path / "edge"))
        stack.enter_context(spoke("other", door, tmp_path / "other"))
        until("both clusters", lambda: value(server, "count(count by (cluster) (prometheus_build_info))") == 2)
        assert value(server, 'count({__name__=~"go_.*"})') == 0
        until("an evaluation", lambda: server.get("/api/v1/rules")["data"]["groups"][0]["rules"][0]["health"] == "ok")
        assert firing(server) == []
        part = Part("The hub's Prometheus", server.url)
        seen = verify_hub.clusters(part)
        assert (seen.well, seen.seen) == (True, "2 write: edge, other")
        selection, _ = select_rules(settings("hub", hub={"enabled": True}))
        assert verify_hub.rules(part, selection).well
        edge.close()
        until("the alert about this cluster alone", lambda: [one["sender"] for one in firing(server)] == ["edge"])
        [labels] = firing(server)
        assert (labels["alertname"], labels["sender"], labels["cluster"]) == ("ClusterStoppedSending", "edge", "hub")
        seen = verify_hub.clusters(part)
        assert (seen.well, seen.seen) == (False, "1 write: other; silent: edge")


def scrapes(spoke: Server) -> int:
    """How many scrapes an agent has begun after its first one: a busy machine leaves some out."""
    text = str(spoke.get("/metrics"))
    [count] = re.findall(r'prometheus_target_interval_length_seconds_count{interval="1s"} (\d+)', text)
    return int(count)


def value(server: Server, query: str) -> float:
    result = server.get("/api/v1/query", query=query)["data"]["result"]
    return float(result[0]["value"][1]) if result else 0


def firing(server: Server) -> list[dict[str, str]]:
    alerts = server.get("/api/v1/alerts")["data"]["alerts"]
    return [alert["labels"] for alert in alerts if alert["state"] == "firing"]
