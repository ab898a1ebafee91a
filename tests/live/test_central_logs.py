"""A cluster that sends its log lines to a hub as well, all real: agents, both Lokis, the hub's gateway.

The configurations are those that ship; only addresses, paths and where the files lie are changed.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from components import alloy_config, central_logs, promtail_config
from components.alloy_syntax import Block, text
from settings import Settings, parse
from tests.live.test_gateway import PASSWORD, PUSH, QUERY, ask, find_nginx, line, lines, login, nginx_file
from tools import binaries
from tools.faults import daemons
from tools.faults.agents import Agent
from tools.faults.daemons import LOCAL, Daemon, until
from tools.faults.lines import LABELS, Writer, settled
from tools.ports import free_ports

SENT = "password-of-edge"
OTHER = "password-of-other"
PATIENCE = 20
"""Seconds without a new line until a count is taken to be the last."""
LINES = 20_000


def settings(cluster: str, **sections: Any) -> Settings:
    config = {"cluster": {"name": cluster, "distribution": "k3s"}, "alertmanager": {"heartbeat": "none"}, **sections}
    return parse(config, "x", check_secrets=False)


SENDERS = [{"cluster": "edge", "passwordSecret": "edgeLogs"}, {"cluster": "other", "passwordSecret": "otherLogs"}]
HUB = settings("hub", hub={"logSenders": SENDERS})


def spoke(program: str, url: str) -> Settings:
    """Seconds instead of half a minute between tries, so that the test need not wait for the longest pause."""
    queue = {"minBackoff": "1s", "maxBackoff": "1s"}
    central = {"url": url, "passwordSecret": "edgeLogs", "queue": queue}
    return settings("edge", centralLogs=central, logAgent={"program": program})


@dataclass
class Hub:
    """Loki of the hub behind its gateway; both can go and come back on the same ports."""

    loki: Daemon
    gateway: Daemon

    @property
    def port(self) -> int:
        return int(self.gateway.url.rpartition(":")[2])

    def start(self) -> None:
        self.loki.start().ready()
        self.gateway.start().ready()

    def stop(self) -> None:
        for part in (self.gateway, self.loki):
            part.end(signal.SIGTERM)


@contextmanager
def hub(folder: Path) -> Iterator[Hub]:
    folder.mkdir()
    [port] = free_ports(1)
    loki = daemons.loki(folder, HUB)
    upstream = int(loki.url.rpartition(":")[2])
    file = nginx_file(folder, port, upstream, HUB, {"edge": SENT, "other": OTHER})
    command = [str(find_nginx()), "-e", "stderr", "-c", str(file), "-g", "daemon off;"]
    both = Hub(loki, Daemon("NGINX", command, folder / "nginx.log", port, dict(os.environ), "/healthz"))
    try:
        both.start()
        yield both
    finally:
        both.stop()


def promtail(folder: Path, config: dict[str, Any], logs: Path, *, url: str = "", tenant: str = "") -> Agent:
    """A Promtail of this configuration that reads the files of a folder; `url` where it is not the one that ships."""
    folder.mkdir()
    [port] = free_ports(1)
    (folder / "password").write_text(SENT)
    config["server"] |= {"http_listen_address": LOCAL, "http_listen_port": port}
    config["positions"]["filename"] = str(folder / "positions.yaml")
    for client in config["clients"]:
        client["basic_auth"]["password_file"] = str(folder / "password")
        if url and "svc.cluster.local" in client["url"]:
            client["url"] = url + PUSH
        if tenant:
            client["tenant_id"] = tenant
    [pods] = [scrape for scrape in config["scrape_configs"] if scrape["job_name"] == "pods"]
    del pods["kubernetes_sd_configs"], pods["relabel_configs"]
    pods["static_configs"] = [{"targets": [LOCAL], "labels": {"__path__": f"{logs}/*.log", **LABELS}}]
    config["scrape_configs"] = [pods]
    file = folder / "promtail.yaml"
    file.write_text(promtail_config.text(config), encoding="utf-8")
    command = [str(binaries.find("promtail")), f"-config.file={file}", "-config.expand-env=true"]
    return Agent("Promtail", command, folder / "log", port, {"HOSTNAME": "node-1", "NODE_NAME": "node-1"})


def alloy(folder: Path, blocks: list[Block], logs: Path, *, url: str = "", tenant: str = "") -> Agent:
    """The same for Alloy."""
    folder.mkdir()
    [port] = free_ports(1)
    (folder / "password").write_text(SENT)
    found = []
    for block in blocks:
        if block.label == "journal" or block.name.startswith("discovery."):
            continue
        changed = block
        if block.name == "local.file_match":
            changed = replace(block, attributes={"path_targets": [{"__path__": f"{logs}/*.log", **LABELS}]})
        if block.name == "loki.write":
            [endpoint] = block.blocks
            attributes = {**endpoint.attributes, **({"tenant_id": tenant} if tenant else {})}
            attributes |= {"url": url + PUSH} if url else {}
            changed = replace(block, blocks=[replace(endpoint, attributes=attributes)])
        found.append(changed)
    file = folder / "config.alloy"
    file.write_text(text(found).replace(alloy_config.PASSWORD_FILE, str(folder / "password")), encoding="utf-8")
    options = [f"--storage.path={folder / 'data'}", f"--server.http.listen-addr={LOCAL}:{port}"]
    command = [str(binaries.find("alloy")), "run", str(file), *options, "--disable-reporting"]
    return Agent("Alloy", command, folder / "log", port, {"HOSTNAME": "node-1", "NODE_NAME": "node-1"}, "/-/ready")


def agents(folder: Path, chosen: Settings, loki: Daemon, logs: Path) -> tuple[Agent, Agent]:
    """The cluster's own agent, and the one for the hub, which asks for a tenant that is not its own."""
    assert chosen.central_logs
    own = {"url": loki.url, "tenant": chosen.loki.tenant}
    forged = {"tenant": HUB.loki.tenant}
    if chosen.log_agent.program == "alloy":
        central = central_logs.alloy_blocks(chosen, chosen.central_logs)
        return (
            alloy(folder / "own", alloy_config.blocks(chosen), logs, **own),
            alloy(folder / "central", central, logs, **forged),
        )
    central_file = central_logs.promtail_file(chosen, chosen.central_logs)
    return (
        promtail(folder / "own", promtail_config.config(chosen), logs, **own),
        promtail(folder / "central", central_file, logs, **forged),
    )


@pytest.mark.parametrize("program", ["promtail", "alloy"])
def test_a_hub_that_is_away_harms_nobody_and_gets_everything_later(tmp_path: Path, program: str) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    writer = Writer(logs / "0.log", LINES)
    with ExitStack() as stack:
        remote = stack.enter_context(hub(tmp_path / "hub"))
        chosen = spoke(program, remote.gateway.url)
        (tmp_path / "loki").mkdir()
        local = daemons.loki(tmp_path / "loki", chosen)
        own, central = agents(tmp_path, chosen, local, logs)
        for daemon in (local, own, central):
            stack.callback(daemon.end, signal.SIGKILL)
            daemon.start().ready()
        writer.write(LINES // 4)
        for loki, tenant in ((local, chosen.loki.tenant), (remote.loki, "edge")):
            counted = settled(loki, tenant, writer, PATIENCE)
            assert (counted.lost, counted.twice) == (0, 0), tenant
        remote.stop()
        refused = central.log().count("error sending batch")
        writer.write(LINES // 2)
        until("tries in vain", lambda: central.log().count("error sending batch") > refused + 2)
        # Without the hub, all of it is in the cluster's own Loki.
        counted = settled(local, chosen.loki.tenant, writer, PATIENCE)
        assert (counted.lost, counted.twice) == (0, 0)
        assert "error sending batch" not in own.log()
        remote.start()
        writer.write(LINES // 4)
        for loki, tenant in ((local, chosen.loki.tenant), (remote.loki, "edge")):
            counted = settled(loki, tenant, writer, PATIENCE)
            print(f"{program}, {tenant}: {writer.written} lines, {counted.lost} lost, {counted.twice} twice")
            assert (counted.lost, counted.twice) == (0, 0), tenant
        # The tenant that the agent asked for has nothing of it.
        everything = '{cluster=~".+"}'
        assert not remote.loki.get(f"{QUERY.partition('?')[0]}", HUB.loki.tenant, query=everything)["data"]["result"]
        assert labels_of(remote.loki, "edge") == {"cluster": "edge", **LABELS}


def labels_of(loki: Daemon, tenant: str) -> dict[str, str]:
    found = loki.get("/loki/api/v1/series", tenant, **{"match[]": '{app="faults"}'})["data"]
    [labels] = found
    return dict(labels)


def test_why_it_is_an_agent_of_its_own(tmp_path: Path) -> None:
    """Control: one Promtail with both targets stands still for both while the hub is away."""
    logs = tmp_path / "logs"
    logs.mkdir()
    writer = Writer(logs / "0.log", LINES)
    chosen = spoke("promtail", f"http://{LOCAL}:{free_ports(1)[0]}")
    assert chosen.central_logs
    config = promtail_config.config(chosen)
    config["clients"] += central_logs.promtail_file(chosen, chosen.central_logs)["clients"]
    (tmp_path / "loki").mkdir()
    local = daemons.loki(tmp_path / "loki", chosen)
    with ExitStack() as stack:
        both = promtail(tmp_path / "both", config, logs, url=local.url, tenant=chosen.loki.tenant)
        for daemon in (local, both):
            stack.callback(daemon.end, signal.SIGKILL)
            daemon.start().ready()
        writer.write(LINES)
        counted = settled(local, chosen.loki.tenant, writer, PATIENCE)
        print(f"one agent for both: {counted.lost} of {LINES} lines did not come while the hub was away")
        assert counted.lost > 0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub(tmp_path_factory.mktemp("central") / "hub") as one:
        yield one


def test_a_sender_is_the_tenant_that_it_logged_in_as(running: Hub) -> None:
    """Whatever it asks for: the hub's own tenant, another sender's, or several."""
    for forged in ("", "main", "other", "main|other", "edge|other"):
        text = f"of edge, asking for {forged!r}"
        headers = {"X-Scope-OrgID": forged} if forged else {}
        assert ask(running.port, PUSH, login("edge", SENT) | headers, line(text))[0] == 204
        loki = int(running.loki.url.rpartition(":")[2])
        stored = {
            tenant: text in lines(ask(loki, QUERY, {"X-Scope-OrgID": tenant})[1])
            for tenant in ("edge", "other", HUB.loki.tenant)
        }
        assert stored == {"edge": True, "other": False, HUB.loki.tenant: False}


@pytest.mark.parametrize(("who", "password"), [("edge", OTHER), ("other", SENT), ("edge", PASSWORD), ("third", SENT)])
def test_a_password_is_for_one_cluster(running: Hub, who: str, password: str) -> None:
    assert ask(running.port, PUSH, login(who, password), line("never"))[0] == 401


@pytest.mark.parametrize(
    "path", [QUERY, "/loki/api/v1/labels", "/loki/api/v1/delete", "/prometheus/api/v1/rules", f"/clusters{QUERY}"]
)
def test_a_sender_may_read_nothing(running: Hub, path: str) -> None:
    assert ask(running.port, path, login("edge", SENT))[0] == 401


def test_the_hub_sees_all_clusters_at_once_and_its_own_alone(running: Hub) -> None:
    for name, password in (("edge", SENT), ("other", OTHER)):
        assert ask(running.port, PUSH, login(name, password), line(f"line of {name}"))[0] == 204
    assert ask(running.port, PUSH, login(), line("line of the hub"))[0] == 204
    wanted = {"line of edge", "line of other", "line of the hub"}
    answer = ask(running.port, f"/clusters{QUERY}", login(**{"X-Scope-OrgID": "nobody"}))[1]
    assert wanted <= set(lines(answer))
    assert {"edge", "other", HUB.loki.tenant} == {
        stream["stream"]["__tenant_id__"] for stream in json.loads(answer)["data"]["result"]
    }
    assert set(lines(ask(running.port, QUERY, login())[1])) & wanted == {"line of the hub"}


@pytest.mark.parametrize("path", [f"/clusters{PUSH}", "/clusters/loki/api/v1/%70ush", "/clusters/metrics", "/clusters"])
def test_below_the_path_of_all_clusters_is_nothing_but_queries(running: Hub, path: str) -> None:
    assert ask(running.port, path, login(), line("never") if path.endswith("ush") else None)[0] == 404
