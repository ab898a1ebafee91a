"""A real Loki, Prometheus and Alertmanager on free loopback ports, wired as a stack wires them."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.daemon import daemon
from tests.live.logql import stack
from tools import binaries
from tools.faults.daemons import on_loopback, until
from tools.ports import free_ports

LOCAL = "127.0.0.1"


class Server:
    """The HTTP API of a daemon."""

    def __init__(self, port: int) -> None:
        self.url = f"http://{LOCAL}:{port}"

    def get(self, path: str, tenant: str | None = None, **query: str) -> Any:
        """The JSON that the daemon answers. Raises RuntimeError with its words."""
        return self._send(f"{path}?{urllib.parse.urlencode(query)}", tenant, None)

    def post(self, path: str, tenant: str, body: Any) -> None:
        """Posts JSON. Raises RuntimeError with the daemon's words."""
        self._send(path, tenant, json.dumps(body).encode())

    def answers(self, path: str) -> bool:
        """Whether the path can be had."""
        try:
            self._send(path, None, None)
        except (RuntimeError, OSError):
            return False
        return True

    def _send(self, path: str, tenant: str | None, body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"} | ({"X-Scope-OrgID": tenant} if tenant else {})
        request = urllib.request.Request(self.url + path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return json.loads(text) if answer.headers.get_content_type() == "application/json" else text
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.code} {error.read().decode(errors='replace')}") from error


@dataclass(frozen=True)
class Servers:
    """The three daemons."""

    loki: Server
    prometheus: Server
    alertmanager: Server


@contextmanager
def running(folder: Path, tenants: tuple[str, ...]) -> Iterator[Servers]:
    """All three, with the rules of a cluster of the same name for each tenant; Prometheus has those of the first."""
    programs = {name: binaries.find(name) for name in ("alertmanager", "prometheus", "loki")}
    ports = free_ports(4)
    servers = Servers(Server(ports[0]), Server(ports[1]), Server(ports[2]))
    for tenant in tenants:
        stack.write(stack.faster(stack.rendered("loki", tenant)), folder / "etc/loki/rules" / tenant)
    recorded = [file for file in stack.rendered("prometheus", tenants[0]) if file.name == "logs"]
    rules = stack.write(stack.faster(recorded), folder / "prometheus-rules")
    configs = {
        "alertmanager": {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]},
        "prometheus": prometheus_config(rules, servers),
        "loki": loki(folder, servers, grpc=ports[3]),
    }
    for name, content in configs.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    arguments: dict[str, list[str]] = {
        "alertmanager": [
            f"--config.file={folder / 'alertmanager.yaml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={LOCAL}:{ports[2]}",
            "--cluster.listen-address=",
        ],
        "prometheus": [
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address={LOCAL}:{ports[1]}",
            "--web.enable-remote-write-receiver",
            f"--rules.alert.resend-delay={stack.INTERVAL}s",
        ],
        "loki": [f"-config.file={folder / 'loki.yaml'}", "-config.expand-env=true"],
    }
    with ExitStack() as processes:
        for name, path in (("alertmanager", "/-/ready"), ("prometheus", "/-/ready"), ("loki", "/ready")):
            alive = processes.enter_context(daemon([programs[name], *arguments[name]], folder / f"{name}.log"))
            server: Server = getattr(servers, name)
            until(f"start of {name}", lambda s=server, p=path, a=alive: a() and s.answers(p))  # type: ignore[misc]
        yield servers


def prometheus_config(rules: list[Path], servers: Servers) -> dict[str, Any]:
    """Prometheus without any target: its series come from Loki's ruler."""
    alertmanagers = [{"static_configs": [{"targets": [servers.alertmanager.url.removeprefix("http://")]}]}]
    return {"rule_files": [str(path) for path in rules], "alerting": {"alertmanagers": alertmanagers}}


def loki(folder: Path, servers: Servers, *, grpc: int) -> dict[str, Any]:
    """Loki's configuration of the stack dev, with only paths, addresses and intervals changed."""
    port = int(servers.loki.url.rsplit(":", 1)[1])
    config = on_loopback(folder, stack.settings("dev"), port, grpc)
    config["ruler"] |= {
        "alertmanager_url": servers.alertmanager.url,
        "poll_interval": f"{stack.INTERVAL}s",
        "resend_delay": f"{stack.INTERVAL}s",
    }
    write = {"test": {"url": f"{servers.prometheus.url}/api/v1/write"}}
    config["ruler"]["remote_write"] = {**config["ruler"]["remote_write"], "clients": write}
    return config
