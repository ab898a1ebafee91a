"""A deployed hub whose pods are fake, and real daemons in the place of those that `make verify` asks.

They run what is in the cluster: the operator's configurations and rule files, the ConfigMaps of Loki's rules, the
passwords of the Secrets. Changed are addresses and folders; targets on the fake nodes are left out.
"""

import base64
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from components import addresses, central_logs, loki_gateway
from components.alert_rules import config_map_name
from components.stack import select_rules
from settings import Settings
from tests.cluster.operated import configuration, read, rule_files
from tests.daemon import daemon
from tests.live import test_central_logs as logs
from tests.live.logql.daemons import LOCAL, Server
from tests.live.test_gateway import find_nginx, nginx_file
from tools.binaries import find
from tools.cluster import Cluster
from tools.console import UserError
from tools.faults import daemons
from tools.faults.agents import Agent
from tools.faults.daemons import Daemon, until
from tools.ports import free_ports
from tools.reach import Part, Reach


class Served(Reach):
    """The cluster, where a forwarded port leads to the daemon of that name."""

    def __init__(self, local: Cluster, urls: Mapping[str, str]) -> None:
        super().__init__(str(local.kubeconfig))
        object.__setattr__(self, "urls", urls)

    @contextmanager
    def forward(self, name: str, namespace: str, target: str, port: int, headers: Mapping[str, str]) -> Iterator[Part]:
        urls: Mapping[str, str] = self.urls  # type: ignore[attr-defined]
        if name not in urls:
            raise UserError(f"no port leads to {name}")
        yield Part(name, urls[name], headers)


def secret(local: Cluster, name: str, namespace: str = "monitoring") -> dict[str, str]:
    """The values of a Secret."""
    command = ("get", "secret", name, f"--namespace={namespace}", "--output=yaml")
    data = yaml.safe_load(local.kubectl(*command))["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


@contextmanager
def prometheus(
    local: Cluster, name: str, folder: Path, jobs: Mapping[str, str], changes: Mapping[str, Any], *options: str
) -> Iterator[Server]:
    """A Prometheus by the operator's configuration, that scrapes itself and these jobs instead of the fake pods."""
    folder.mkdir()
    config = configuration(local, name, folder)
    rules = folder / "rules"
    rules.mkdir()
    for file, text in rule_files(local, name).items():
        (rules / file).write_text(text)
    [port] = free_ports(1)
    places = {**jobs, "itself": f"{LOCAL}:{port}"} if jobs else {}
    config |= {
        "rule_files": [f"{rules}/*.yaml"],
        "alerting": {},
        "scrape_configs": [
            {"job_name": job, "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": [{"targets": [place]}]}
            for job, place in places.items()
        ],
        **changes,
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = [find("prometheus"), f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/tsdb"]
    with daemon([*command, f"--web.listen-address={LOCAL}:{port}", *options], folder / "log") as alive:
        server = Server(port)
        until(f"start of {name}", lambda: alive() and server.answers("/-/ready"))
        yield server


@contextmanager
def gateway(local: Cluster, settings: Settings, folder: Path) -> Iterator[tuple[Daemon, Daemon]]:
    """Loki with the rules of the cluster's ConfigMaps, behind NGINX with the users of its Secret."""
    folder.mkdir()
    loki = daemons.loki(folder, settings)
    rules = folder / "etc/loki/rules" / settings.loki.tenant
    rules.mkdir(parents=True)
    for file in select_rules(settings)[1].files:
        for key, text in read(local, "configmap", config_map_name("loki", file))["data"].items():
            (rules / key).write_text(text)
    [port] = free_ports(1)
    config = nginx_file(folder, port, int(loki.url.rpartition(":")[2]), settings)
    for key, text in secret(local, f"{loki_gateway.APP}-htpasswd").items():
        (folder / key).write_text(text)
    command = [str(find_nginx()), "-e", "stderr", "-c", str(config), "-g", "daemon off;"]
    nginx = Daemon("NGINX", command, folder / "nginx.log", port, dict(os.environ), "/healthz")
    try:
        for part in (loki, nginx):
            part.start().ready()
        yield loki, nginx
    finally:
        for part in (nginx, loki):
            part.end(signal.SIGTERM)


@contextmanager
def agent(local: Cluster, settings: Settings, url: str, folder: Path, written: Path) -> Iterator[Agent]:
    """The second log agent, with the password of the cluster's Secret."""
    assert settings.central_logs
    config = central_logs.promtail_file(settings, settings.central_logs.model_copy(update={"url": url}))
    found = logs.promtail(folder, config, written)
    login = secret(local, central_logs.CREDENTIALS, settings.namespaces.agents)
    (folder / "password").write_text(login["password"])
    try:
        yield found.start().ready()
    finally:
        found.end(signal.SIGTERM)


@contextmanager
def served(local: Cluster, settings: Settings, folder: Path, written: Path) -> Iterator[tuple[Served, Server]]:
    """The hub, which is its own spoke too: it writes to itself, and its second agent sends to its own gateway.

    Gives the way to the parts, and the cluster's own Prometheus.
    """
    with ExitStack() as stack:
        receiver = "--web.enable-remote-write-receiver"
        hub = stack.enter_context(prometheus(local, addresses.HUB, folder / "hub", {}, {}, receiver))
        loki, nginx = stack.enter_context(gateway(local, settings, folder / "loki"))
        second = stack.enter_context(agent(local, settings, nginx.url, folder / "agent", written))
        jobs = {"loki": loki.url, central_logs.APP: second.url}
        places = {job: url.removeprefix("http://") for job, url in jobs.items()}
        [target] = settings.prometheus.remote_write
        write = {"remote_write": [{"name": target.name, "url": f"{hub.url}/api/v1/write"}]}
        own = stack.enter_context(prometheus(local, addresses.PROMETHEUS, folder / "own", places, write))
        urls = {"Prometheus": own.url, "The hub's Prometheus": hub.url, "Loki": nginx.url}
        yield Served(local, urls), own
