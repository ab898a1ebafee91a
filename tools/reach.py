"""How this machine reaches the parts of a stack on any cluster: by kubectl, and by ports that it forwards.

A forwarded port needs no ingress, no address of the cluster and no rule of a network policy; the user of the kubeconfig
has to be allowed to `create` `pods/portforward`.
"""

import base64
import json
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from components import addresses, grafana_values
from components.loki_gateway import CREDENTIALS
from settings import Settings
from settings.cluster import Distribution
from tools import binaries
from tools.cluster import Cluster
from tools.cluster.state import load
from tools.console import UserError

SECONDS = 30
"""Patience with one answer, and with the opening of a port."""


@dataclass(frozen=True)
class Part:
    """The HTTP address of a part, with what it asks of a client."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self, path: str) -> str:
        """What the part answers. Raises UserError, which names the part, where it does not."""
        request = urllib.request.Request(f"{self.url}{path}", headers=dict(self.headers))  # noqa: S310 (http or https)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace").strip()[:300]
            raise UserError(f"{self.name} refuses {path.partition('?')[0]}: {error.code} {said}") from None
        except (OSError, HTTPException) as error:
            raise UserError(f"{self.name} does not answer at {self.url}: {error}") from None

    def read(self, path: str) -> Any:
        """The same, from JSON or YAML."""
        text = self.text(path)
        try:
            return json.loads(text) if text.startswith(("{", "[")) else yaml.safe_load(text)
        except (ValueError, yaml.YAMLError) as error:
            raise UserError(f"{self.name} answers {path.partition('?')[0]} with something else: {error}") from None


def part_at(url: str) -> Part:
    """The part at an address that a person gave. A password in it is sent, and never shown.

    Raises UserError where it is no address.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"}:
        raise UserError("give as URL an address such as http://127.0.0.1:9090 or https://prometheus.example.com")
    login, _, place = parts.netloc.rpartition("@")
    shown = f"{parts.scheme}://{place}{parts.path}".rstrip("/")
    pair = ":".join(unquote(half) for half in login.partition(":")[::2])
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"} if login else {}
    return Part(place, shown, headers)


@dataclass(frozen=True)
class Reach:
    """A cluster by its kubeconfig and context; both empty: what kubectl takes by itself."""

    kubeconfig: str | None = None
    context: str | None = None

    def kubectl(self, *arguments: str) -> str:
        """Output of kubectl. Raises UserError with its own words."""
        result = subprocess.run([*self.command(), *arguments], capture_output=True, text=True, check=False)
        if result.returncode:
            raise UserError(f"kubectl {' '.join(arguments[:3])}: {result.stderr.strip()}")
        return result.stdout

    def get(self, *arguments: str) -> Any:
        """Objects as JSON; a list has them under `items`."""
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    @contextmanager
    def forward(self, name: str, namespace: str, target: str, port: int, headers: Mapping[str, str]) -> Iterator[Part]:
        """A port of this machine that leads to `target` (such as `service/loki-gateway`), for the length of the block.

        Raises UserError with kubectl's words where the port cannot be opened.
        """
        command = [*self.command(), "port-forward", "--address=127.0.0.1", f"--namespace={namespace}"]
        with tempfile.TemporaryDirectory() as folder:
            said = Path(folder) / "said"
            with said.open("w") as output:
                process = subprocess.Popen([*command, target, f":{port}"], stdout=output, stderr=subprocess.STDOUT)
            try:
                yield Part(name, f"http://127.0.0.1:{_opened(name, process, said)}", headers)
            finally:
                process.terminate()
                process.wait()

    def command(self) -> list[str]:
        """The start of every command line: kubectl, and which cluster it talks to."""
        options = {"kubeconfig": self.kubeconfig, "context": self.context}
        return [str(binaries.find("kubectl")), *(f"--{key}={value}" for key, value in options.items() if value)]


def _opened(name: str, process: subprocess.Popen[bytes], said: Path) -> int:
    stop = time.monotonic() + SECONDS
    while True:
        text = said.read_text()
        if "Forwarding from 127.0.0.1:" in text:
            return int(text.partition("Forwarding from 127.0.0.1:")[2].split(" ")[0])
        if process.poll() is not None or time.monotonic() > stop:
            raise UserError(f"no port leads to {name}: {text.strip() or 'kubectl port-forward says nothing'}")
        time.sleep(0.05)


def reach(settings: Settings, local: Path) -> Reach:
    """The cluster of a stack: by the kubeconfig and context of its file, or the local one whose files lie in `local`.

    Raises UserError where the local cluster does not run.
    """
    cluster = settings.cluster
    if cluster.distribution is not Distribution.LOCAL or cluster.kubeconfig or cluster.context:
        return Reach(cluster.kubeconfig, cluster.context)
    return Reach(str(local_cluster(local).kubeconfig))


def local_cluster(folder: Path) -> Cluster:
    """The local cluster whose files lie in `folder`. Raises UserError where it does not run, or runs no container."""
    state = load(folder.absolute())
    # What ends of a cluster by kind is a forwarded port, whose pod has gone: who uses the port opens it again.
    if state is None or not state.ready or (state.dead and state.mode != "kind"):
        raise UserError("no local cluster runs here, or a part of it ended; start it by: make up")
    if state.mode == "fake":
        raise UserError("the local cluster has fake nodes only: no container runs on it, so nothing answers")
    return Cluster(state)


class Parts:
    """The parts of a stack by name; each is opened when it is first asked for, and closed with `opened`.

    Every method raises UserError where the part cannot be reached, and tries again when it is asked again.
    """

    def __init__(self, cluster: Reach, settings: Settings, opened: ExitStack) -> None:
        self._cluster, self._settings, self._opened = cluster, settings, opened
        self._parts: dict[str, Part] = {}

    def prometheus(self) -> Part:
        """The first pod of Prometheus that its Service leads to."""
        return self._open("Prometheus", f"service/{addresses.PROMETHEUS}", addresses.PROMETHEUS_PORT)

    def hub(self) -> Part:
        """The Prometheus that other clusters write to."""
        return self._open("The hub's Prometheus", f"service/{addresses.HUB}", addresses.PROMETHEUS_PORT)

    def alertmanagers(self) -> list[Part]:
        """Every replica: only one of them sends a notification."""
        name = addresses.ALERTMANAGER
        return [
            self._open(f"Alertmanager {index}", f"pod/{name}-{name}-{index}", addresses.ALERTMANAGER_PORT)
            for index in range(self._settings.alertmanager.replicas)
        ]

    def loki(self) -> Part:
        """Loki through its gateway, with the password that is in the cluster."""
        login = partial(self._login, CREDENTIALS, "username", "password")
        return self._open("Loki", f"service/{addresses.LOKI_GATEWAY}", addresses.GATEWAY_PORT, login)

    def grafana(self) -> Part | None:
        """Grafana as its administrator; None where the cluster has none, such as the local one without the chart."""
        namespace = f"--namespace={self._settings.namespaces.main}"
        if not self._cluster.get("services", namespace, f"--field-selector=metadata.name={addresses.GRAFANA}")["items"]:
            return None
        login = partial(self._login, grafana_values.SECRET, "admin-user", "admin-password")
        return self._open("Grafana", f"service/{addresses.GRAFANA}", addresses.GRAFANA_PORT, login)

    def _open(self, name: str, target: str, port: int, login: Callable[[], str] | None = None) -> Part:
        if name not in self._parts:
            headers = {"Authorization": login()} if login else {}
            forward = self._cluster.forward(name, self._settings.namespaces.main, target, port, headers)
            self._parts[name] = self._opened.enter_context(forward)
        return self._parts[name]

    def _login(self, secret: str, user: str, password: str) -> str:
        data = self._cluster.get("secret", secret, f"--namespace={self._settings.namespaces.main}")["data"]
        pair = b":".join(base64.b64decode(data[key]) for key in (user, password))
        return f"Basic {base64.b64encode(pair).decode()}"
