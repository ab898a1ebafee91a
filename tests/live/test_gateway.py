"""The gateway's own configuration in a real NGINX before a real Loki: who gets in, where to, and as which tenant."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from components import addresses, loki_config
from components.loki_gateway_config import USERNAME, htpasswd, nginx_config
from settings import Settings
from tests.daemon import daemon
from tools.binaries import find
from tools.cluster import debian
from tools.cluster.recipes import NGINX_PACKAGES
from tools.console import UserError
from tools.faults.daemons import until
from tools.ports import free_ports
from tools.rules import stack_settings

PASSWORD = "a-long-generated-password"
PUSH, QUERY = "/loki/api/v1/push", "/loki/api/v1/query_range?query=%7Bapp%3D%22x%22%7D&limit=100"
SETTINGS = stack_settings("dev")
TENANT = SETTINGS.loki.tenant
START_SECONDS = 180


def ask(
    port: int, path: str, headers: Mapping[str, str] | None = None, body: str | None = None
) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers. The path goes out as it is, dots and all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())


def login(username: str = USERNAME, password: str = PASSWORD, **more: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}", **more}


def line(text: str) -> str:
    stream = {"stream": {"app": "x"}, "values": [[str(time.time_ns()), text]]}
    return json.dumps({"streams": [stream]})


def lines(answer: str) -> list[str]:
    return [value[1] for stream in json.loads(answer)["data"]["result"] for value in stream["values"]]


@dataclass(frozen=True)
class Ports:
    gateway: int
    loki: int


def loki_file(folder: Path, port: int) -> Path:
    config = loki_config.config(SETTINGS)
    del config["ruler"]
    config["server"] |= {"http_listen_address": "127.0.0.1", "http_listen_port": port}
    config["server"] |= {"grpc_listen_address": "127.0.0.1", "grpc_listen_port": free_ports(1)[0]}
    file = folder / "loki.yaml"
    file.write_text(yaml.safe_dump(config).replace(" /loki", f" {folder}/loki"))
    return file


def nginx_file(
    folder: Path, port: int, loki: int, settings: Settings = SETTINGS, senders: Mapping[str, str] | None = None
) -> Path:
    """The configuration as it ships, with other addresses and folders. `senders`: passwords of other clusters."""
    text = nginx_config(settings)
    upstream = addresses.service(addresses.LOKI, settings.namespaces.main, addresses.LOKI_PORT)
    changes = {
        "/tmp/": f"{folder}/",
        upstream: f"http://127.0.0.1:{loki}",
        f"listen {addresses.GATEWAY_PORT};": f"listen 127.0.0.1:{port};",
        "/etc/nginx/secrets/": f"{folder}/",
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    own = htpasswd(USERNAME, PASSWORD, "salt")
    (folder / "htpasswd").write_text(own)
    others = [htpasswd(name, password, "salt") for name, password in (senders or {}).items()]
    (folder / "senders").write_text("".join([own, *others]))
    file = folder / "nginx.conf"
    # Started by root, NGINX would give up its rights and with them the test's folder.
    file.write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    return file


def find_nginx() -> str | Path:
    """NGINX from PATH, else Debian's as the local cluster runs it."""
    on_path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    try:
        return on_path or debian.unpack("nginx", NGINX_PACKAGES) / "usr/sbin/nginx"
    except UserError as error:
        pytest.skip(f"THE GATEWAY IS NOT PROVEN HERE: no nginx on PATH. {error}")


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    nginx = find_nginx()
    folder = tmp_path_factory.mktemp("gateway")
    both = Ports(*free_ports(2))
    loki = [find("loki"), f"-config.file={loki_file(folder, both.loki)}"]
    gateway = [nginx, "-e", "stderr", "-c", nginx_file(folder, both.gateway, both.loki), "-g", "daemon off;"]

    def pushed() -> bool:
        with contextlib.suppress(OSError):
            return ask(both.gateway, PUSH, login(), line("first"))[0] == 204
        return False

    with daemon(loki, folder / "loki.log") as loki_alive, daemon(gateway, folder / "nginx.log") as gateway_alive:
        until("push by the gateway", lambda: loki_alive() and gateway_alive() and pushed(), START_SECONDS)
        yield both


@pytest.mark.parametrize("path", [PUSH, QUERY, "/loki/api/v1/labels", "/prometheus/api/v1/rules", "/loki/api/v1/tail"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        login(password="wrong"),
        login(password=""),
        login(username="root"),
        {"Authorization": "Basic !!!"},
        {"Authorization": f"Bearer {PASSWORD}"},
        {"X-Scope-OrgID": TENANT},
    ],
    ids=["none", "wrong", "empty", "other-user", "broken", "bearer", "tenant-only"],
)
def test_no_or_wrong_credentials(ports: Ports, path: str, headers: dict[str, str]) -> None:
    status, text, answered = ask(ports.gateway, path, headers, line("never") if path == PUSH else None)
    assert status == 401
    assert answered["WWW-Authenticate"].startswith("Basic")
    assert "nginx/" not in text + answered["Server"]


def test_a_refused_line_is_not_stored(ports: Ports) -> None:
    assert "never" not in lines(ask(ports.loki, QUERY, {"X-Scope-OrgID": TENANT})[1])


@pytest.mark.parametrize("forged", ["other", f"{TENANT}|other", "", "fake"])
def test_a_forged_tenant_is_overwritten(ports: Ports, forged: str) -> None:
    """Writing: the line is the true tenant's. Reading: nothing of the forged tenant comes out."""
    assert ask(ports.loki, PUSH, {"X-Scope-OrgID": "other"}, line("line of the other"))[0] == 204
    text = f"line with the header {forged!r}"
    assert ask(ports.gateway, PUSH, login(**{"X-Scope-OrgID": forged}), line(text))[0] == 204
    assert text in lines(ask(ports.loki, QUERY, {"X-Scope-OrgID": TENANT})[1])
    assert text not in lines(ask(ports.loki, QUERY, {"X-Scope-OrgID": "other"})[1])
    seen = lines(ask(ports.gateway, QUERY, login(**{"X-Scope-OrgID": forged}))[1])
    assert text in seen
    assert "line of the other" not in seen
    assert "line of the other" in lines(ask(ports.loki, QUERY, {"X-Scope-OrgID": "other"})[1])


def test_loki_itself_asks_for_a_tenant(ports: Ports) -> None:
    assert ask(ports.loki, QUERY)[0] == 401


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "/config",
        "/flush",
        "/ingester/shutdown",
        "/ingester/prepare_shutdown",
        "/ring",
        "/compactor/ring",
        "/services",
        "/log_level",
        "/debug/pprof/",
        "/api/prom/push",
        "/otlp/v1/logs",
        "/prometheus/api/v1/query",
        "/loki/api/../../metrics",
        "/loki/api/%2e%2e/%2e%2e/config",
        "/loki/api/..%2f..%2fmetrics",
        "//metrics",
    ],
)
def test_other_paths_do_not_exist(ports: Ports, path: str) -> None:
    """Even with credentials."""
    for headers in ({}, login()):
        status, text, _ = ask(ports.gateway, path, headers)
        assert status == 404, text
        assert "loki_" not in text


def test_health_is_open(ports: Ports) -> None:
    assert ask(ports.gateway, "/healthz")[:2] == (200, "ok\n")
    assert ask(ports.gateway, "/ready")[0] in {200, 503}, "Loki's own answer"
    assert ask(ports.gateway, "/ready/../metrics")[0] == 404
