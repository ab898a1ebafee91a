"""Processes of one Loki, each on a loopback address of its own, all with the rendered configuration."""

import re
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from components import addresses, loki_config, loki_storage
from components.alert_rules import content
from components.stack import select_rules
from settings import Settings
from tools import binaries
from tools.faults.daemons import Daemon
from tools.ports import free_ports
from tools.rules import stack_settings

KEYS = dict(zip(loki_storage.S3_KEYS, ("loki", "a-long-password"), strict=True))


def chunks(minio: Daemon, tenant: str) -> int:
    """Chunks of the tenant in the bucket, which is a folder."""
    return sum(1 for _ in (minio.folder / "data" / loki_storage.MINIO_BUCKET / tenant).rglob("xl.meta"))


@dataclass
class Lokis:
    """Processes of one Loki, by target; their addresses count up from 127.0.x.1."""

    settings: Settings
    processes: dict[str, list[Daemon]] = field(default_factory=dict)

    def one(self, target: str, index: int = 0) -> Daemon:
        """A process that serves this target."""
        return self.processes.get(target, self.processes.get("all", []))[index]

    @property
    def every(self) -> list[Daemon]:
        return [daemon for found in self.processes.values() for daemon in found]


def with_loki(**loki: Any) -> Settings:
    plain = stack_settings("dev")
    return plain.model_copy(update={"loki": type(plain.loki).model_validate({**loki, "storage": {"type": "minio"}})})


@contextmanager
def running(folder: Path, settings: Settings, minio: Daemon, targets: Iterable[str], network: int) -> Iterator[Lokis]:
    """All processes, ready; a target that is named twice has two."""
    lokis, ports = Lokis(settings), free_ports(3)
    hosts = [(target, f"127.0.{network}.{index}") for index, target in enumerate(targets, 1)]
    with ExitStack() as stack:
        for target, host in hosts:
            daemon = _loki(folder / host, settings, minio, target, host, hosts, ports)
            stack.callback(daemon.end, signal.SIGKILL)
            lokis.processes.setdefault(target, []).append(daemon.start())
        for daemon in lokis.every:
            daemon.ready()
        yield lokis


def _loki(
    folder: Path,
    settings: Settings,
    minio: Daemon,
    target: str,
    host: str,
    hosts: list[tuple[str, str]],
    ports: list[int],
) -> Daemon:
    http, grpc, gossip = ports
    namespace = settings.namespaces.main
    rules = folder / "rules" / settings.loki.tenant
    rules.mkdir(parents=True)
    for file in select_rules(settings)[1].files:
        (rules / f"{file.name}.yaml").write_text(content(file))
    text = yaml.safe_dump(loki_config.config(settings), sort_keys=False)
    text = text.replace(addresses.service(addresses.MINIO, namespace, addresses.MINIO_PORT), minio.url)
    for part, one in hosts:
        # A name of the cluster stands for the first process of its part.
        text = re.sub(rf"loki-{part}(-headless)?\.{namespace}\.svc\.cluster\.local", one, text)
    for name, port in ((addresses.LOKI_PORT, http), (addresses.LOKI_GRPC_PORT, grpc)):
        text = re.sub(rf"(?<=[: ]){name}$", str(port), text, flags=re.MULTILINE)
    text = text.replace(loki_config.RULES_FOLDER, str(folder / "rules"))
    text = text.replace(f" {loki_config.folder(settings.loki)}", f" {folder / 'data'}")
    config = yaml.safe_load(text)
    config["server"] |= {"http_listen_address": host, "grpc_listen_address": host}
    config["memberlist"] |= {"bind_addr": [host], "bind_port": gossip, "advertise_addr": host, "advertise_port": gossip}
    # A pod has a host name of its own.
    for ring in (config["common"]["ring"], config["ruler"]["ring"]):
        ring["instance_id"] = host
    config["memberlist"]["join_members"] = [f"{one}:{gossip}" for _, one in hosts]
    config["ingester"]["lifecycler"] = {"min_ready_duration": "0s", "id": host}
    config["ruler"]["remote_write"] = {"enabled": False}
    written = folder / "config.yaml"
    written.write_text(yaml.safe_dump(config))
    command = [str(binaries.find("loki")), f"-config.file={written}", "-config.expand-env=true", f"-target={target}"]
    environment = {"POD_IP": host, "HOME": str(folder), **KEYS}
    return Daemon(f"Loki ({target})", command, folder / "loki.log", http, environment, host=host)


def lines(daemon: Daemon, tenant: str, app: str) -> list[str]:
    """Every line of an app."""
    answer = daemon.get("/loki/api/v1/query_range", tenant, query=f'{{app="{app}"}}', limit="5000", since="1h")
    return [line for stream in answer["data"]["result"] for _, line in stream["values"]]


def numbered(count: int) -> list[tuple[int, str]]:
    """Numbered lines with times of their own."""
    at = time.time_ns() - count * 1000
    return [(at + number * 1000, f"line {number}") for number in range(count)]


def evaluated(daemon: Daemon) -> set[str]:
    """Rule groups that this process evaluates."""
    return set(re.findall(r'prometheus_rule_group_rules\{.*rule_group="[^"]*;([^"]+)"', daemon.text("/metrics")))


def groups(settings: Settings) -> set[str]:
    """Rule groups that the stack ships to Loki's ruler."""
    return {group["name"] for file in select_rules(settings)[1].files for group in file.groups}
