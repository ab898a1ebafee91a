"""A real Prometheus and a real Loki on free loopback ports, filled with the synthetic data."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.daemon import daemon
from tests.dashboards import series
from tests.dashboards.rules import recording_groups
from tools.ports import free_ports

CLUSTERS = ("healthy", "faulty")
START_SECONDS = 240


class Server:
    """An HTTP API on loopback."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **query: str) -> Any:
        """The `data` of the answer. Raises `RuntimeError` with the server's words."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{query}: {error.read().decode()}") from error


@contextmanager
def prometheus(programs: dict[str, Path], folder: Path, recorded: set[str]) -> Iterator[tuple[Server, int, int]]:
    """Prometheus with the series of both clusters, the last second of the series, and one of those that rules record.

    The recording rules run; the server is given when they have made the series of the names `recorded`.
    """
    end = int(time.time())
    text = folder / "series.txt"
    with text.open("w") as file:
        both = {key: value for cluster in CLUSTERS for key, value in series.read(cluster).items()}
        file.writelines(line + "\n" for line in series.openmetrics(both, end))
    blocks = [programs["promtool"], "tsdb", "create-blocks-from", "openmetrics", "-q", text, folder / "tsdb"]
    subprocess.run([str(part) for part in blocks], check=True, capture_output=True)
    rules = folder / "recording.yaml"
    rules.write_text(yaml.safe_dump({"groups": recording_groups()}))
    with running_prometheus(programs["prometheus"], folder, {"rule_files": [str(rules)]}) as (server, alive):
        wait("the recording rules", lambda: all(_recorded_often(server, name) for name in recorded), alive)
        yield server, end, int(time.time())


def _recorded_often(server: Server, name: str) -> bool:
    """Whether a few evaluations have written the series of this name."""
    return bool(server.get("/api/v1/query", query=f"count_over_time({name}[5m]) >= 3")["result"])


@contextmanager
def running_prometheus(
    program: Path, folder: Path, configuration: dict[str, Any], *options: str
) -> Iterator[tuple[Server, Callable[[], bool]]]:
    """Prometheus over the blocks in `folder/tsdb`, when it is ready; and whether it still runs."""
    config = folder / "prometheus.yaml"
    config.write_text(yaml.safe_dump(configuration))
    [port] = free_ports(1)
    command = [
        *(program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=60d", *options),
    ]
    with daemon(command, folder / "prometheus.log") as alive:
        server = Server(port)
        wait("Prometheus", lambda: _answers(f"{server.url}/-/ready"), alive)
        yield server, alive


@contextmanager
def loki(programs: dict[str, Path], folder: Path) -> Iterator[tuple[Server, int]]:
    """Loki with the lines of both clusters, and the second in which they end."""
    port, grpc = free_ports(2)
    config = folder / "loki.yaml"
    config.write_text(yaml.safe_dump(_loki_config(port, grpc, folder)))
    with daemon([programs["loki"], f"-config.file={config}"], folder / "loki.log") as alive:
        server = Server(port)
        wait("Loki", lambda: _answers(f"{server.url}/ready"), alive)
        end = int(time.time())
        _push(server, end)
        yield server, end


def _loki_config(port: int, grpc: int, folder: Path) -> dict[str, Any]:
    local = "127.0.0.1"
    return {
        "auth_enabled": False,
        "server": {"http_listen_address": local, "http_listen_port": port, "grpc_listen_address": local}
        | {"grpc_listen_port": grpc},
        "common": {
            "instance_addr": local,
            "path_prefix": str(folder / "loki"),
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}, "instance_addr": local},
            "storage": {"filesystem": {"chunks_directory": str(folder / "chunks"), "rules_directory": str(folder)}},
        },
        "ingester": {"lifecycler": {"min_ready_duration": "0s"}},
        "frontend": {"address": local},
        "schema_config": {
            "configs": [
                {"from": "2024-01-01", "store": "tsdb", "object_store": "filesystem", "schema": "v13"}
                | {"index": {"prefix": "index_", "period": "24h"}}
            ]
        },
        "limits_config": {"discover_service_name": [], "allow_structured_metadata": True},
        "analytics": {"reporting_enabled": False},
    }


def _push(server: Server, end: int) -> None:
    """Each line of lines.yaml each 2 s over the ten minutes before the end (Unix seconds)."""
    moments = [(end - second) * 10**9 for second in range(600, 0, -2)]
    lines = yaml.safe_load((series.DATA / "lines.yaml").read_text())
    streams = [
        {
            "stream": {**stream["labels"], "job": f"{stream['labels']['namespace']}/{stream['labels']['app']}"}
            | {"cluster": cluster},
            "values": [[str(moment + index), line] for moment in moments for index, line in enumerate(stream["lines"])],
        }
        for cluster in CLUSTERS
        for stream in lines[cluster]
    ]
    request = urllib.request.Request(
        f"{server.url}/loki/api/v1/push",
        data=json.dumps({"streams": streams}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 204


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait(what: str, ready: Callable[[], bool], alive: Callable[[], bool]) -> None:
    """Until `ready`. Raises `RuntimeError` when the program ends, by `alive`, or the time is over."""
    limit = time.monotonic() + START_SECONDS
    while not ready():
        alive()
        if time.monotonic() > limit:
            raise RuntimeError(f"{what}: not ready; see the log in the temporary folder")
        time.sleep(0.2)
