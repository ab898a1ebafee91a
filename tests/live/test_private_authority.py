"""A hub behind TLS whose certificate is of a private authority: who knows it sends, who does not is refused and told.

All real: NGINX ends TLS; behind it the hub's Prometheus, or its gateway and Loki; before it a spoke's Prometheus and
log agents, with the configurations that ship. Only addresses, folders and times are changed.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import central_logs, remote_write
from components.alloy_syntax import Block
from components.loki_gateway_config import htpasswd
from components.stack import select_rules
from settings import Settings
from tests.daemon import daemon
from tests.live import test_central_logs as logs
from tests.live import test_hub as metrics
from tests.live.logql.daemons import Server
from tests.live.test_gateway import find_nginx
from tools import binaries
from tools.cluster.pki import Authority
from tools.faults.agents import Agent
from tools.faults.daemons import LOCAL, Daemon, until
from tools.faults.lines import Writer, settled
from tools.ports import free_ports
from tools.reach import Part
from tools.verify import hub as verify_hub

SECOND = "1s"
LINES = 5_000
UNKNOWN = "certificate signed by unknown authority"
NGINX = """
user root;
worker_processes 1;
error_log stderr warn;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_max_body_size 8m;
  {temporary}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.crt;
    ssl_certificate_key {folder}/server.key;
    {login}
    location / {{ proxy_pass {upstream}; }}
  }}
}}
"""


@dataclass(frozen=True)
class Door:
    """What stands before a hub, and the file in which a spoke has the authority that it believes."""

    url: str
    known: Path
    authority: str
    stranger: str

    def believe(self, whom: str) -> None:
        """As a changed Secret in the pod: the file is there whole, or as it was."""
        new = self.known.with_suffix(".new")
        new.write_text(whom)
        new.replace(self.known)


@contextmanager
def door(folder: Path, upstream: str, login: str = "") -> Iterator[Door]:
    """NGINX that ends TLS before `upstream`, with a certificate of an authority that was made just now."""
    Authority(folder).issue("server", "hub", hosts=[LOCAL])
    Authority(folder / "stranger")
    [port] = free_ports(1)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n  ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    text = NGINX.format(folder=folder, temporary=temporary, port=port, login=login, upstream=upstream)
    file = folder / "nginx.conf"
    # Only root may choose whom the workers run as.
    file.write_text(text if os.geteuid() == 0 else text.replace("user root;\n", ""))
    command = [str(find_nginx()), "-e", "stderr", "-c", str(file), "-g", "daemon off;"]
    nginx = Daemon("NGINX", command, folder / "nginx.log", port, dict(os.environ)).start()
    try:
        own, other = ((folder / name / "ca.crt").read_text() for name in (".", "stranger"))
        yield Door(f"https://{LOCAL}:{port}", folder / "known.crt", own, other)
    finally:
        nginx.end(signal.SIGTERM)


def target(url: str) -> dict[str, Any]:
    login = {"username": "edge", "passwordSecret": "hubPassword", "caSecret": "hubCa"}
    return {"url": f"{url}/api/v1/write", "name": "hub", "keep": "up|scrape_.*", **login}


@contextmanager
def spoke(chosen: Settings, known: Path, folder: Path) -> Iterator[Server]:
    """The Prometheus of the cluster `edge`, which writes by what the settings say."""
    [spec] = remote_write.specs(chosen)
    assert spec["tlsConfig"] == {"ca": {"secret": {"name": remote_write.SECRET, "key": "hubCa"}}}
    folder.mkdir()
    written = metrics.as_prometheus_reads_it(spec, folder) | {"tls_config": {"ca_file": str(known)}}
    scrape = {"job_name": "kube-prometheus-stack-prometheus", "scrape_interval": SECOND, "scrape_timeout": SECOND}
    [port] = free_ports(1)
    static = [{"targets": [f"{LOCAL}:{port}"], "labels": {"cluster": "edge"}}]
    config = {"remote_write": [written], "scrape_configs": [{**scrape, "static_configs": static}]}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = [binaries.find("prometheus"), f"--config.file={folder / 'prometheus.yaml'}"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={LOCAL}:{port}"]
    with daemon(command, folder / "log") as alive:
        server = Server(port)
        until("start of Prometheus", lambda: alive() and server.answers("/-/ready"))
        yield server


@pytest.mark.usefixtures("soon_late")
def test_metrics_go_to_a_hub_of_a_known_authority_alone(tmp_path: Path) -> None:
    rules = {"rule_files": [str(metrics.hub_rules(tmp_path))]}
    options = [
        "--web.enable-remote-write-receiver",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        "--query.lookback-delta=10s",
    ]
    (tmp_path / "htpasswd").write_text(htpasswd("edge", metrics.PASSWORD, "salt"))
    login = f'auth_basic "hub"; auth_basic_user_file {tmp_path}/htpasswd;'
    with ExitStack() as stack:
        hub = stack.enter_context(metrics.prometheus(tmp_path / "hub", rules, *options))
        front = stack.enter_context(door(tmp_path / "door", hub.url, login))
        front.believe(front.stranger)
        chosen = metrics.settings("edge", prometheus={"remoteWrite": [target(front.url)]})
        edge = stack.enter_context(spoke(chosen, front.known, tmp_path / "edge"))
        own = Part("Prometheus", edge.url)
        log = tmp_path / "edge/log"
        until("refused writes", lambda: log.read_text().count(UNKNOWN) >= 2)
        assert metrics.value(hub, "count(up)") == 0
        # The hub does not know of a cluster that never sent; verify on the spoke does.
        until("what is there of the queue", lambda: verify_hub.writing(own, chosen).seen == "hub has got nothing yet")
        front.believe(front.authority)
        until("samples", lambda: metrics.value(hub, 'up{cluster="edge"}') == 1)
        until("verify sees it", lambda: verify_hub.writing(own, chosen).well)
        until("an evaluation", lambda: hub.get("/api/v1/rules")["data"]["groups"][0]["rules"][0]["health"] == "ok")
        # Samples of the refused time come first, so for seconds the newest one is an old one.
        until("no alert", lambda: metrics.firing(hub) == [])
        front.believe(front.stranger)
        until("the alert at the hub", lambda: [one["sender"] for one in metrics.firing(hub)] == ["edge"])
        [alert] = metrics.firing(hub)
        assert alert["alertname"] == "ClusterStoppedSending"
        seen = verify_hub.writing(own, chosen)
        assert (seen.well, "hub got its newest sample" in seen.seen) == (False, True)
        front.believe(front.authority)
        until("the end of the alert", lambda: metrics.firing(hub) == [])


@pytest.fixture
def soon_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds instead of minutes until a sample is late."""
    monkeypatch.setattr(verify_hub, "LATE_SECONDS", 8)


def log_rules(folder: Path) -> Path:
    """The rules of a spoke about its lines to the hub, in seconds instead of minutes."""
    selection, _ = select_rules(metrics.settings("edge", centralLogs={"url": "https://x", "passwordSecret": "a"}))
    [file] = [file for file in selection.files if file.name == central_logs.APP]
    groups = [{**group, "interval": SECOND} for group in file.groups]
    rules = [rule for group in groups for rule in group["rules"]]
    for rule in rules:
        assert "[5m]" in rule["expr"] or "[15m]" in rule["expr"]
        faster = {"expr": rule["expr"].replace("[5m]", "[10s]").replace("[15m]", "[10s]")}
        rule.update(faster | ({"for": "2s"} if "for" in rule else {}))
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


@contextmanager
def watched(agent: Agent, folder: Path) -> Iterator[Server]:
    """A Prometheus that scrapes the second log agent under the labels of its PodMonitor."""
    labels = {"cluster": "edge", "namespace": "monitoring-agents", "pod": "central-logs-x"}
    static = [{"targets": [agent.url.removeprefix("http://")], "labels": labels}]
    scrape = {"job_name": central_logs.APP, "scrape_interval": SECOND, "scrape_timeout": SECOND}
    config = {"rule_files": [str(log_rules(folder))], "scrape_configs": [{**scrape, "static_configs": static}]}
    with metrics.prometheus(folder / "watching", config, f"--storage.tsdb.path={folder / 'tsdb'}") as server:
        yield server


def second_agent(folder: Path, chosen: Settings, known: Path, written: Path) -> Agent:
    """The one that sends to the hub, believing the authority of this file."""
    assert chosen.central_logs
    if chosen.log_agent.program == "alloy":
        blocks = [trusting(block, known) for block in central_logs.alloy_blocks(chosen, chosen.central_logs)]
        return logs.alloy(folder / "central", blocks, written)
    config = central_logs.promtail_file(chosen, chosen.central_logs)
    for client in config["clients"]:
        client["tls_config"]["ca_file"] = str(known)
    return logs.promtail(folder / "central", config, written)


def trusting(block: Block, known: Path) -> Block:
    """The block `loki.write` with the file of the authority in another place; any other block as it is."""
    if block.name != "loki.write":
        return block
    [endpoint] = block.blocks
    login, tls = endpoint.blocks
    assert tls.attributes == {"ca_file": f"/etc/alloy/secrets/{central_logs.CA_KEY}"}
    return replace(block, blocks=[replace(endpoint, blocks=[login, replace(tls, attributes={"ca_file": str(known)})])])


@pytest.mark.parametrize("program", ["promtail", "alloy"])
def test_lines_go_to_a_hub_of_a_known_authority_alone(tmp_path: Path, program: str) -> None:
    written = tmp_path / "logs"
    written.mkdir()
    writer = Writer(written / "0.log", LINES)
    with ExitStack() as stack:
        hub = stack.enter_context(logs.hub(tmp_path / "hub"))
        front = stack.enter_context(door(tmp_path / "door", hub.gateway.url))
        front.believe(front.stranger)
        plain = logs.spoke(program, front.url)
        assert plain.central_logs
        central = plain.central_logs.model_copy(update={"ca_secret": "hubCa"})
        agent = second_agent(tmp_path, plain.model_copy(update={"central_logs": central}), front.known, written)
        stack.callback(agent.end, signal.SIGKILL)
        agent.start().ready()
        spoke = stack.enter_context(watched(agent, tmp_path))
        writer.write(LINES)
        until("refused pushes", lambda: agent.log().count(UNKNOWN) >= 2)
        until("the alert", lambda: [one["alertname"] for one in metrics.firing(spoke)] == ["CentralLogsNotSent"])
        assert not hub.loki.get("/loki/api/v1/labels", "edge").get("data")
        front.believe(front.authority)
        counted = settled(hub.loki, "edge", writer, logs.PATIENCE)
        print(f"{program}: {writer.written} lines, {counted.lost} lost, {counted.twice} twice")
        assert (counted.lost, counted.twice) == (0, 0)
        until("the end of the alert", lambda: metrics.firing(spoke) == [])
