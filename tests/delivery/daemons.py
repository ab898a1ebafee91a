"""Real Alertmanagers and other daemons on loopback, and what tests say to them."""

import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tools.binaries import find
from tools.ports import free_ports

Found = TypeVar("Found")
WAIT = 60.0
LOCAL = "127.0.0.1"


def wait_for(what: str, ask: Callable[[], Found], seconds: float = WAIT) -> Found:
    """The first true answer of `ask`; an AssertionError that says `what` when none comes."""
    limit = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < limit, f"after {seconds:.0f} s: {what}"
        time.sleep(0.05)


class Daemon:
    """One process that answers HTTP."""

    def __init__(self, folder: Path, command: list[str], port: int, ready: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.command, self.url, self._ready = folder, command, f"http://{LOCAL}:{port}", ready
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `wait` says when it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def wait(self) -> None:
        """Wait until it is ready."""
        wait_for(f"{self.folder} is not ready", self._is_ready, 4 * WAIT)

    def _is_ready(self) -> bool:
        assert self.process
        log = (self.folder / "log").read_text(errors="replace")[-2000:]
        assert self.process.poll() is None, f"{self.folder} ended: {log}"
        return bool(self.get(self._ready))

    def get(self, path: str) -> str:
        """Text at a path; nothing where it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it and wait for its end."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=WAIT)


class Alertmanager:
    """One process, with its folder; it can be killed and started again on the same ports and data."""

    def __init__(self, folder: Path, config: Mapping[str, Any], *options: str, port: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.options = folder, options
        self.port = port or free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.write(config)
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, config: Mapping[str, Any]) -> None:
        """Replace the configuration file."""
        (self.folder / "alertmanager.yaml").write_text(yaml.safe_dump(dict(config), sort_keys=False))

    def start(self) -> "Alertmanager":
        """Start it, and wait until it answers."""
        cluster = (
            () if any(option.startswith("--cluster") for option in self.options) else ("--cluster.listen-address=",)
        )
        command = [
            str(find("alertmanager")),
            f"--config.file={self.folder}/alertmanager.yaml",
            f"--storage.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            *cluster,
            *self.options,
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(f"{command[0]} does not answer: {self.log()[-2000:]}", self.ready)
        return self

    def log(self) -> str:
        """Everything it wrote."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def ready(self) -> bool:
        """Whether it answers."""
        assert self.process
        assert self.process.poll() is None, f"Alertmanager ended: {self.log()[-2000:]}"
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it and wait for its end. SIGKILL leaves it no time for anything."""
        if self.process and self.process.poll() is None:
            # A stopped process takes no signal but these two.
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(timeout=WAIT)

    def get(self, path: str) -> Any:
        """Answer of the API v2."""
        with urllib.request.urlopen(f"{self.url}/api/v2/{path}", timeout=WAIT) as answer:
            return json.load(answer)

    def push(self, alerts: Iterable[Mapping[str, Any]]) -> None:
        """Send alerts as Prometheus does."""
        body = json.dumps(list(alerts)).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v2/alerts", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            assert answer.status == 200


def alert(
    name: str,
    /,
    *,
    ends_in: float = 3600,
    begun: float = 60,
    annotations: Mapping[str, str] | None = None,
    **labels: str,
) -> dict[str, Any]:
    """An alert as Prometheus sends it: it began `begun` seconds ago, and counts as firing for `ends_in` seconds."""
    now = datetime.now(UTC)
    return {
        "labels": {"alertname": name, "cluster": "test", **labels},
        "annotations": dict(annotations or {"summary": f"{name} summary", "description": f"{name} description"}),
        "startsAt": (now - timedelta(seconds=begun)).isoformat(),
        "endsAt": (now + timedelta(seconds=ends_in)).isoformat(),
        "generatorURL": "http://prometheus.example.com/graph",
    }
