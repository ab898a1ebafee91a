"""How this machine reaches the parts of a stack on the local cluster: forwarded ports, passwords, answers."""

import base64
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from components import addresses
from components.loki_gateway import CREDENTIALS
from settings import Settings
from settings.cluster import NamespacesSettings
from tools.cluster import Cluster, namespaces
from tools.console import UserError, progress
from tools.inbox import local
from tools.inbox.serve import HTTP_PORT
from tools.reach import Part, local_cluster

OPENED = f"{addresses.ALERTMANAGER}-opened"
"""A Service with an address of its own: the stack's is headless, and a pod's address is gone with the pod."""
SECONDS = 15
ANSWER_SECONDS = 120
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Access:
    """URLs on this machine by the part's name, Loki's user and password, and where the stack lives."""

    running: Cluster
    urls: dict[str, str]
    user: str
    password: str
    namespaces: NamespacesSettings

    def read(self, name: str, path: str) -> Any:
        """What a part answers, from JSON or YAML. Raises UserError, which names the part, where it does not."""
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"} if name == "loki" else {}
        return Part(name, self.urls[name], headers).read(path)

    def wait(self, seconds: float = ANSWER_SECONDS) -> None:
        """Wait until each of `urls` answers, whatever: kube-proxy hears of a Service and of its pods a moment after us.

        Raises UserError, which names the part that does not, after `seconds`.
        """
        deadline = time.monotonic() + seconds
        with progress(f"waiting for an answer of {', '.join(self.urls)}"):
            for name, url in self.urls.items():
                while error := _silent(url):
                    if time.monotonic() > deadline:
                        raise UserError(f"{name} does not answer at {url} within {seconds:.0f} s: {error}")
                    time.sleep(POLL_SECONDS)
                    self.running.reopen_forward(urlsplit(url).port or 0)


def _silent(url: str) -> str | None:
    """Why no HTTP server answers there; None when one does."""
    try:
        urllib.request.urlopen(url, timeout=SECONDS).close()  # noqa: S310 (an address of this machine)
    except urllib.error.HTTPError:
        return None  # A refusal is an answer, too.
    except (OSError, HTTPException) as error:
        return str(error)
    return None


def attach(folder: Path, settings: Settings, *used: str) -> Access:
    """Access to the parts `used` of the stack on the running local cluster; without names, to all that people open.

    Raises UserError where no cluster runs, or where by kind one of these parts does not answer.
    """
    running = local_cluster(folder)
    opened = access(running, settings, used)
    if running.mode == "kind":
        # A forwarded port ends with its pod, and only when it is asked: it is asked now, and opened again.
        opened.wait()
    return opened


def access(running: Cluster, settings: Settings, used: Collection[str] = ()) -> Access:
    """Open a port of this machine for each part of `used`: its usual one where that is free, else any.

    Without names, for every part that people open.
    """
    namespace = settings.namespaces.main
    running.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(_alertmanager_service(namespace)))
    services = {
        "prometheus": (addresses.PROMETHEUS, addresses.PROMETHEUS_PORT),
        "alertmanager": (OPENED, addresses.ALERTMANAGER_PORT),
        "loki": (addresses.LOKI_GATEWAY, addresses.GATEWAY_PORT),
        "grafana": (addresses.GRAFANA, addresses.GRAFANA_PORT),
    }
    by_kind = running.mode == "kind"
    there = {
        name: f"{namespace}/{name}" if by_kind else item["spec"]["clusterIP"]
        for item in _get(running, "services", f"--namespace={namespace}")["items"]
        for name in [item["metadata"]["name"]]
    }
    urls = {
        name: f"http://127.0.0.1:{_open(running, there[service], port)}"
        for name, (service, port) in services.items()
        if service in there and (not used or name in used)
    }
    if not used or "inbox" in used:
        inbox = f"{local.NAME}/{local.NAME}" if by_kind else namespaces.NODE_ADDRESS
        urls["inbox"] = f"http://127.0.0.1:{_open(running, inbox, HTTP_PORT)}"
    secret = _get(running, "secret", CREDENTIALS, f"--namespace={namespace}")["data"]
    user, password = (base64.b64decode(secret[key]).decode() for key in ("username", "password"))
    return Access(running, urls, user, password, settings.namespaces)


def _get(running: Cluster, *arguments: str) -> Any:
    return json.loads(running.kubectl("get", *arguments, "--output=json"))


def _open(running: Cluster, host: str, port: int) -> int:
    for known, target in running.state.forwards.items():
        if tuple(target) == (host, port):
            running.forward(int(known), host, port)
            return int(known)
    listen = _free(port if port > 1024 else port + 3000)
    running.forward(listen, host, port)
    return listen


def _free(port: int) -> int:
    for wanted in (port, 0):
        try:
            with closing(socket.create_server(("127.0.0.1", wanted))) as listener:
                return int(listener.getsockname()[1])
        except OSError:
            continue
    raise UserError("no port of 127.0.0.1 is free")


def _alertmanager_service(namespace: str) -> dict[str, Any]:
    ports = [{"name": "http", "port": addresses.ALERTMANAGER_PORT}]
    selector = {"app.kubernetes.io/name": "alertmanager"}
    meta = {"name": OPENED, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": selector, "ports": ports}}
