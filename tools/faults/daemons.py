"""Loki as a process on loopback, with a stack's configuration: only paths and addresses are changed."""

import json
import os
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from components import loki_config
from settings import Settings
from tools import binaries
from tools.ports import free_ports

LOCAL = "127.0.0.1"
PATIENCE = 90.0
"""Seconds that a daemon may take, on a machine that does other things too."""


class Daemon:
    """A process that may be killed and started again, always on the same port."""

    grace = 60
    """Seconds that it has to end before it is killed."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        port: int,
        environment: dict[str, str],
        health: str = "/ready",
        host: str = LOCAL,
    ) -> None:
        self.url = f"http://{host}:{port}"
        self._name, self._command, self._log, self._environment = name, list(command), log, environment
        self.folder, self._health = log.parent, health
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it. Returns at once; `ready` waits."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(self._command, stdout=out, stderr=subprocess.STDOUT, env=self._environment)
        return self

    def ready(self) -> Self:
        """Wait until it says that it is ready. Raises RuntimeError where it ended, TimeoutError where it never is."""
        until(f"start of {self._name}", lambda: self._alive() and self._answers())
        return self

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Send the signal and wait for the end; nothing where it does not run."""
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(timeout=self.grace)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def get(self, path: str, tenant: str, **query: str) -> Any:
        """The JSON that it answers. Raises OSError where it does not."""
        address = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(address, headers={"X-Scope-OrgID": tenant})  # noqa: S310 (http on loopback)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def text(self, path: str) -> str:
        """What it answers as text; nothing where it does not answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310
                return str(answer.read().decode())
        except OSError:
            return ""

    def memory(self) -> int:
        """Bytes of memory that the process holds now (resident set)."""
        assert self._process
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def processor_seconds(self) -> float:
        """Processor time that the process has used so far."""
        assert self._process
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log(self) -> str:
        """What it said so far, in all its lives."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + self._health, timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    def _alive(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"{self._name} has ended:\n{self.log()[-2000:]}")
        return True


def until(what: str, condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until the condition holds. Raises TimeoutError with its last answer."""
    deadline = time.monotonic() + patience
    while not (last := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {patience:.0f} s; last seen: {last!r}")
        time.sleep(0.1)


def loki(
    folder: Path,
    settings: Settings,
    limits: Mapping[str, Any] | None = None,
    compactor: Mapping[str, Any] | None = None,
) -> Daemon:
    """Loki with the stack's configuration and its data below the folder; some limits, or the compactor, changed."""
    port, grpc = free_ports(2)
    config = on_loopback(folder, settings, port, grpc)
    config["ruler"]["remote_write"] = {"enabled": False}
    config["limits_config"] |= limits or {}
    config["compactor"] |= compactor or {}
    (folder / "etc/loki/rules").mkdir(parents=True, exist_ok=True)
    file = folder / "loki.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [str(binaries.find("loki")), f"-config.file={file}", "-config.expand-env=true"]
    return Daemon("Loki", command, folder / "loki.log", port, {"POD_IP": LOCAL, "HOME": str(folder)})


def on_loopback(folder: Path, settings: Settings, http: int, grpc: int) -> dict[str, Any]:
    """Loki's configuration of a stack with folders below this one, at these ports, and ready as soon as it can be."""
    config: dict[str, Any] = _below(folder, loki_config.config(settings))
    config["server"] |= {"http_listen_address": LOCAL, "http_listen_port": http}
    config["server"] |= {"grpc_listen_address": LOCAL, "grpc_listen_port": grpc}
    config["ingester"]["lifecycler"] = {"min_ready_duration": "0s"}
    return config


def _below(folder: Path, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _below(folder, item) for key, item in value.items()}
    if isinstance(value, str) and value.startswith(("/loki", "/etc/loki")):
        return f"{folder}{value}"
    return value
