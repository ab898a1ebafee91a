"""Promtail and Alloy as processes, with a stack's configuration: only paths and addresses are changed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components import alloy_config, event_exporter_config, promtail_config
from components.alloy_syntax import Block, text
from settings import Settings
from tools import binaries
from tools.faults.daemons import LOCAL, Daemon
from tools.faults.journal import Journal
from tools.ports import free_ports

NODE_LOGS = "/var/log/pods"
OPENED = "tail routine: started"
"""What both agents say when they have opened a file."""
READ = re.compile(
    r"^(?:(?:promtail|loki_source_file)_read|(?:promtail|loki_source)_journal_target)_lines_total(?:\{.*\})? [1-9]",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Files:
    """Where lines come from: the log files of a folder, all under the same labels, or each as a pod of its own."""

    folder: Path
    labels: Mapping[str, str]
    a_pod_each: bool = False
    """Label `pod`: the name of the file, which has to be there already."""

    def targets(self) -> list[dict[str, str]]:
        """What is read, each with its labels, as an agent is told."""
        if not self.a_pod_each:
            return [{"__path__": f"{self.folder}/*.log", **self.labels}]
        files = sorted(self.folder.glob("*.log"))
        return [{"__path__": str(file), **self.labels, "pod": file.stem} for file in files]


@dataclass(frozen=True)
class Pods:
    """Where lines come from: the pods that an API server lists for the node; `logs` stands for /var/log/pods."""

    kubeconfig: Path
    logs: Path


Source = Files | Pods | Journal


@dataclass(frozen=True)
class Retries:
    """How a client retries, instead of what is shipped; `limit` 0 is without end."""

    shortest: str
    longest: str
    limit: int


class Agent(Daemon):
    """A log agent."""

    grace = 30
    """That of its pod."""

    def opened(self) -> int:
        """How often it has opened a file, in all its lives."""
        return self.log().count(OPENED)

    def has_read(self) -> bool:
        """Whether it has read a line since it was started."""
        return bool(READ.search(self.text("/metrics")))


def agent(
    folder: Path,
    settings: Settings,
    target: str,
    source: Source,
    *,
    node: str = "node-1",
    retries: Retries | None = None,
) -> Agent:
    """The log agent that the settings choose, on a node of that name, pushing to the Loki at the URL `target`."""
    chosen = {"promtail": _promtail, "alloy": _alloy}[settings.log_agent.program]
    return chosen(folder, settings, target, source, node, retries)


def event_exporter(
    folder: Path, settings: Settings, target: str, kubeconfig: Path, configured: list[Block] | None = None
) -> Agent:
    """The event exporter, watching the API server of the kubeconfig; `configured`: another one's configuration."""
    blocks = configured or event_exporter_config.blocks(settings)
    blocks = [_sent_to(block, folder, settings, target, None) for block in blocks]
    client = Block("client", attributes={"kubeconfig_file": str(kubeconfig)})
    watching = [
        replace(block, blocks=[client]) if block.name == "loki.source.kubernetes_events" else block for block in blocks
    ]
    return _run_alloy(folder / "events", watching, "node-1", None)


def _promtail(
    folder: Path, settings: Settings, target: str, source: Source, node: str, retries: Retries | None
) -> Agent:
    [port] = free_ports(1)
    config = promtail_config.config(settings)
    config["server"] |= {"http_listen_address": LOCAL, "http_listen_port": port}
    config["positions"]["filename"] = str(folder / "positions.yaml")
    [client] = config["clients"]
    # No gateway stands between: it is the one that asks for the password and sets the tenant.
    client |= {"url": f"{target}/loki/api/v1/push", "tenant_id": settings.loki.tenant}
    client["basic_auth"]["password_file"] = str(_password(folder))
    if retries:
        client["backoff_config"] = {
            "min_period": retries.shortest,
            "max_period": retries.longest,
            "max_retries": retries.limit,
        }
    pods, *journal = config["scrape_configs"]
    scrape = journal[0] if isinstance(source, Journal) else pods
    if isinstance(source, Files):
        del scrape["kubernetes_sd_configs"], scrape["relabel_configs"]
        scrape["static_configs"] = [{"targets": [LOCAL], "labels": labels} for labels in source.targets()]
    elif isinstance(source, Pods):
        scrape["kubernetes_sd_configs"][0]["kubeconfig_file"] = str(source.kubeconfig)
        scrape["relabel_configs"] = [_elsewhere(rule, source.logs) for rule in scrape["relabel_configs"]]
    config["scrape_configs"] = [scrape]
    file = folder / "promtail.yaml"
    file.write_text(promtail_config.text(config), encoding="utf-8")
    command = _program("promtail", source, f"-config.file={file}", "-config.expand-env=true")
    return Agent("Promtail", command, folder / "promtail.log", port, {"HOSTNAME": node, "NODE_NAME": node})


def _alloy(folder: Path, settings: Settings, target: str, source: Source, node: str, retries: Retries | None) -> Agent:
    blocks = []
    for block in alloy_config.blocks(settings):
        if block.label == ("pods" if isinstance(source, Journal) else "journal"):
            continue
        if block.name.startswith("discovery.") and isinstance(source, Files):
            continue
        changed = _sent_to(block, folder, settings, target, retries)
        match block.name, source:
            case "local.file_match", Files():
                changed = replace(changed, attributes={"path_targets": source.targets()})
            case "discovery.kubernetes", Pods():
                file = {"kubeconfig_file": str(source.kubeconfig)}
                changed = replace(changed, attributes={**changed.attributes, **file})
            case "discovery.relabel", Pods():
                rules = [replace(rule, attributes=_elsewhere(rule.attributes, source.logs)) for rule in changed.blocks]
                changed = replace(changed, blocks=rules)
        blocks.append(changed)
    return _run_alloy(folder / "alloy", blocks, node, source)


def _sent_to(block: Block, folder: Path, settings: Settings, target: str, retries: Retries | None) -> Block:
    """The block `loki.write` with another address; any other block as it is."""
    if block.name != "loki.write":
        return block
    [endpoint] = block.blocks
    [login] = endpoint.blocks
    attributes = {**endpoint.attributes, "url": f"{target}/loki/api/v1/push", "tenant_id": settings.loki.tenant}
    if retries:
        attributes |= {
            "min_backoff_period": retries.shortest,
            "max_backoff_period": retries.longest,
            "max_backoff_retries": retries.limit,
        }
    login = replace(login, attributes={**login.attributes, "password_file": str(_password(folder))})
    return replace(block, blocks=[replace(endpoint, attributes=attributes, blocks=[login])])


def _run_alloy(folder: Path, blocks: list[Block], node: str, source: Source | None) -> Agent:
    [port] = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.alloy"
    file.write_text(text(blocks), encoding="utf-8")
    options = [f"--storage.path={folder / 'data'}", f"--server.http.listen-addr={LOCAL}:{port}"]
    command = _program("alloy", source, "run", str(file), *options, "--disable-reporting")
    return Agent("Alloy", command, folder / "alloy.log", port, {"HOSTNAME": node, "NODE_NAME": node}, "/-/ready")


def _program(name: str, source: Source | None, *arguments: str) -> list[str]:
    if isinstance(source, Journal):
        return source.seen_by([str(binaries.find(f"{name}-journal")), *arguments])
    return [str(binaries.find(name)), *arguments]


def _elsewhere(rule: Mapping[str, Any], logs: Path) -> dict[str, Any]:
    if rule["target_label"] != "__path__":
        return dict(rule)
    return {**rule, "replacement": rule["replacement"].replace(NODE_LOGS, str(logs))}


def _password(folder: Path) -> Path:
    file = folder / "password"
    file.write_text("none", encoding="utf-8")
    return file
