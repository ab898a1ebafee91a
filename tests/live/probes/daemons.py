"""Real blackbox exporters with the rendered modules, and a real Prometheus that uses the rendered Probe objects."""

import json
import os
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from components import addresses, blackbox_config, probe_teams, rule_files
from components.blackbox_exporter import USER, targets
from settings import Settings
from settings.alerts import AlertSettings
from settings.probes import BlackboxSettings
from tests.daemon import daemon
from tests.live.logql.stack import sources
from tests.live.probes.servers import LOCAL, Servers, corefile
from tests.live.probes.states import MODULES, SECRETS, STATES, ZONES, State
from tools.binaries import find
from tools.ports import free_ports
from tools.rules import stack_settings

Alive = Callable[[], object]
"""Raises RuntimeError once a daemon has ended."""
OUTSIDE_USER, OUTSIDE_PASSWORD = "outside", "a long password"
# A hash by bcrypt of that password, as the exporter's web configuration wants it.
OUTSIDE_HASH = "$2b$04$abcdefghijklmnopqrstuunJ0u00SLiuoTA7qEltWZhxMUdJFZu5q"
PATIENCE = 180
INTERVAL, TIMEOUT = "5s", "5s"
"""Of every scrape. The slow page answers within it, and what never answers ends with it at the latest."""
ELSEWHERE = "local.test"
"""Stands for the loopback address in the stack file, where no probe may ask it."""
TEAM, PRIORITY = "wiki", "high"
TOLD = 2
"""Index of the state whose target names a team and a priority."""


def service(index: int) -> str:
    """Name of the service of a state."""
    return f"state-{index:02}"


def settings(servers: Servers, ports: dict[str, int]) -> Settings:
    """A stack file with a probe of one target for each state."""
    probes = {}
    for index, state in enumerate(STATES):
        address = state.address.format(**servers.addresses).replace(LOCAL, ELSEWHERE)
        target = {"service": service(index), "address": address}
        target |= {"team": TEAM, "priority": PRIORITY} if index == TOLD else {}
        probes[service(index)] = {"module": state.module, "interval": "30s", "targets": [target]} | _prober(
            state, ports
        )
    blackbox = BlackboxSettings.model_validate({"modules": MODULES, "dnsZones": ZONES, "probes": probes})
    return stack_settings("dev").model_copy(update={"blackbox": blackbox})


def _prober(state: State, ports: dict[str, int]) -> dict[str, str]:
    if state.closed:
        return {"prober": f"http://{LOCAL}:{ports['closed']}"}
    if state.isolated:
        return {"prober": f"http://{LOCAL}:{ports['isolated']}"}
    if state.outside:
        login = {"proberUsername": OUTSIDE_USER, "proberPasswordSecret": "outsidePassword"}
        return {"prober": f"http://{LOCAL}:{ports['outside']}/far/away", **login}
    return {}


def scrapes(chosen: Settings, ports: dict[str, int]) -> list[dict[str, Any]]:
    """What the operator makes of the Probe objects; a test of the cluster tier looks at the operator's own."""
    own = addresses.service("blackbox-exporter", chosen.namespaces.main, 9115).removeprefix("http://")
    result = []
    for name, key, probe, target in targets(chosen):
        if key == "observability":
            continue
        spec = blackbox_config.probe_spec(key, probe, target, chosen)
        prober, static = spec["prober"], spec["targets"]["staticConfig"]
        url = f"{LOCAL}:{ports['own']}" if prober["url"] == own else prober["url"]
        login = {"username": OUTSIDE_USER, "password": OUTSIDE_PASSWORD}
        result.append(
            {
                "job_name": name,
                "scrape_interval": INTERVAL,
                "scrape_timeout": TIMEOUT,
                "scheme": prober["scheme"],
                "metrics_path": prober["path"],
                "params": {"module": [spec["module"]]},
                "static_configs": [
                    {
                        "targets": [one.replace(ELSEWHERE, LOCAL) for one in static["static"]],
                        "labels": static["labels"],
                    }
                ],
                "relabel_configs": [
                    {"target_label": "job", "replacement": spec["jobName"]},
                    {"source_labels": ["__address__"], "target_label": "__param_target"},
                    {"source_labels": ["__param_target"], "target_label": "instance"},
                    {"target_label": "__address__", "replacement": url},
                    {"target_label": "cluster", "replacement": "test"},
                ],
            }
            | ({"basic_auth": login} if "basicAuth" in spec else {})
        )
    return result


def rules(chosen: Settings) -> list[dict[str, Any]]:
    """The groups of the probes as the stack ships them: `for` tuned short, and evaluated each second."""
    files = [file for file in sources("prometheus") if file.name in {"blackbox", "grafana"}]
    names = [rule["alert"] for file in files for group in file.groups for rule in group["rules"] if "alert" in rule]
    tuned = AlertSettings.model_validate({"tune": {name: {"for": "1s"} for name in names}})
    tune = {**tuned.tune, "EndpointResponseTimeHigh": {"for": "1s", "threshold": "3s"}}
    running = {rule_files.component(group): None for file in files for group in file.groups}
    built = rule_files.build(files, AlertSettings.model_validate({"tune": tune}), running, "test")
    shipped = probe_teams.by_target(built, chosen).files
    return [{**group, "interval": "1s"} for file in shipped for group in file.groups]


def get(url: str, **query: str) -> Any:
    """`data` of an answer of Prometheus."""
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=60) as answer:
        return json.load(answer)["data"]


def wait(what: str, ready: Callable[[], bool], alive: Alive, patience: float = PATIENCE) -> bool:
    """Whether `ready` came true in time. Raises RuntimeError where a daemon ended."""
    limit = time.monotonic() + patience
    while not ready():
        alive()
        if time.monotonic() > limit:
            return False
        time.sleep(0.2)
    return True


def answers(url: str) -> bool:
    """Whether the address can be had; a login may be asked for."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return bool(error.code == 401)
    except OSError:
        return False


@contextmanager
def isolated(folder: Path, config: str, port: int, pingers: str | None) -> Iterator[Alive]:
    """An exporter as its pod runs it: user 65534, no capability, a network of its own; `pingers` is the sysctl's value.

    Its socket is opened here and handed over, so that Prometheus reaches it. Needs root.
    """
    script = 'ip link set lo up; [ -z "$2" ] || echo "$2" > /proc/sys/net/ipv4/ping_group_range; exec 3<&"$1"; '
    script += 'export LISTEN_FDS=1 LISTEN_PID=$$; shift 2; exec "$@"'
    drop = ["--reuid", str(USER), "--regid", str(USER), "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    # The user of the pod may not look into the folders of the one who runs the tests.
    with tempfile.TemporaryDirectory() as public, socket.socket() as listening:
        Path(public).chmod(0o755)
        program, file = Path(public) / "blackbox_exporter", Path(public) / "config.yml"
        shutil.copy(find("blackbox_exporter"), program)
        file.write_text(config)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOCAL, port))
        listening.listen()
        outside = f"--web.external-url=http://{LOCAL}:{port}"
        exporter = [program, "--web.systemd-socket", outside, f"--config.file={file}"]
        wrapped = ["unshare", "--net", "bash", "-c", script, "bash", listening.fileno(), pingers or ""]
        log = folder / f"{port}.log"
        with daemon([*wrapped, "setpriv", *drop, *exporter], log, pass_fds=(listening.fileno(),)) as alive:
            yield alive


@contextmanager
def exporters(folder: Path, chosen: Settings, servers: Servers, ports: dict[str, int]) -> Iterator[Alive]:
    """The stack's exporter, one outside that asks for a login, and as root two with networks of their own."""
    for key, secret in SECRETS.items():
        (folder / key).write_text(secret)
    config = yaml.safe_dump(blackbox_config.config(chosen.blackbox))
    config = config.replace(blackbox_config.CREDENTIALS_FOLDER, str(folder))
    (folder / "blackbox.yml").write_text(config)
    (folder / "trusted.pem").write_text(servers.trusted)
    (folder / "web.yml").write_text(yaml.safe_dump({"basic_auth_users": {OUTSIDE_USER: OUTSIDE_HASH}}))
    program, file = find("blackbox_exporter"), f"--config.file={folder}/blackbox.yml"
    login = [f"--web.config.file={folder}/web.yml", "--web.route-prefix=/far/away"]
    trust = {"env": {**os.environ, "SSL_CERT_FILE": f"{folder}/trusted.pem"}}
    with ExitStack() as stack:
        alive: list[Alive] = []
        for name, options in (("own", []), ("outside", login)):
            command = [program, file, f"--web.listen-address={LOCAL}:{ports[name]}", *options]
            alive.append(stack.enter_context(daemon(command, folder / f"{name}.log", **trust)))
        if os.geteuid() == 0:
            for name, pingers in (("isolated", f"{USER} {USER}"), ("closed", None)):
                alive.append(stack.enter_context(isolated(folder, config, ports[name], pingers)))

        def all_alive() -> None:
            for one in alive:
                one()

        yield all_alive


@contextmanager
def prometheus(folder: Path, servers: Servers) -> Iterator[tuple[str, Alive]]:
    """Address of a Prometheus that probes every state, with the rendered rules; and a check that all daemons live."""
    names = ("own", "outside", "isolated", "closed", "dns", "prometheus")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    servers.addresses["dns"] = f"{LOCAL}:{ports['dns']}"
    chosen = settings(servers, ports)
    (folder / "Corefile").write_text(corefile(folder, ports["dns"]))
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": rules(chosen)}, sort_keys=False, width=10_000))
    content = {"rule_files": [str(folder / "rules.yaml")], "scrape_configs": scrapes(chosen, ports)}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(content))
    url = f"http://{LOCAL}:{ports['prometheus']}"
    command = [
        *(find("prometheus"), f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/tsdb"),
        f"--web.listen-address={LOCAL}:{ports['prometheus']}",
    ]
    with ExitStack() as stack:
        dns = stack.enter_context(daemon([find("coredns"), "-conf", folder / "Corefile"], folder / "dns.log"))
        probing = stack.enter_context(exporters(folder, chosen, servers, ports))
        assert wait("an exporter", lambda: answers(f"http://{LOCAL}:{ports['own']}/-/healthy"), probing)
        evaluating = stack.enter_context(daemon(command, folder / "prometheus.log"))

        def alive() -> None:
            for one in (dns, probing, evaluating):
                one()

        assert wait("Prometheus", lambda: answers(f"{url}/-/ready"), alive)
        yield url, alive
