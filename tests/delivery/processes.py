"""Prometheus, Loki with its ruler, and Alertmanager of the stack prod as processes, with the configuration it ships.

Changed are only addresses, folders and the object store. Rules, intervals, routes and templates are the stack's own.
"""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from components import chart_values, loki_config
from components.alert_rules import content
from components.rule_files import Selection
from components.stack import select_rules
from settings import Settings
from settings.alerts import AlertTuning
from settings.reader import secret_keys
from tools.binaries import find
from tools.ports import free_ports

from . import stacks
from .daemons import LOCAL, WAIT, Alertmanager, Daemon, wait_for
from .services import Services, led_to
from .sinks import HttpSink
from .watcher import Watcher

TUNED = {"ExporterDown": AlertTuning.model_validate({"for": "30s"})}
"""It waits five minutes in production: too long for a test that is run often."""


def settings(*, prometheus: int, loki: int, alertmanager: int) -> Settings:
    """Settings of the stack prod with so many replicas, and without hours in which nobody is told."""
    prod = stacks.shipped("prod")
    told = {"replicas": alertmanager, "quiet_hours": {}, "maintenance": {}}
    return prod.model_copy(
        update={
            "prometheus": prod.prometheus.model_copy(update={"replicas": prometheus}),
            "loki": prod.loki.model_copy(update={"replicas": loki}),
            "alertmanager": prod.alertmanager.model_copy(update=told),
            "alerts": prod.alerts.model_copy(update={"tune": {**prod.alerts.tune, **TUNED}}),
        }
    )


class Stack:
    """All replicas, the services that they tell, and who listens to their beats."""

    def __init__(self, folder: Path, chosen: Settings) -> None:
        self.settings = chosen
        self.people, self.watcher = HttpSink(), Watcher("prometheus", "logs")
        self.people.answer = Services()
        prometheus_rules, loki_rules = select_rules(chosen)
        metrics, logs, alerts = chosen.prometheus.replicas, chosen.loki.replicas, chosen.alertmanager.replicas
        web = {
            "kube-prometheus-stack-prometheus": free_ports(metrics),
            "alertmanager": free_ports(alerts),
            "loki": free_ports(logs),
        }
        self.alertmanagers = alertmanagers(folder, chosen, self.secrets(), self.people, web["alertmanager"])
        urls = [each.url for each in self.alertmanagers]
        files = _write(prometheus_rules, folder / "rules")
        configured = prometheus_config(chosen, files, urls, web)
        self.prometheus = [
            _prometheus(folder / f"prometheus-{index}", chosen, configured, index, port)
            for index, port in enumerate(web["kube-prometheus-stack-prometheus"])
        ]
        _write(loki_rules, folder / "loki-rules" / chosen.loki.tenant)
        writers = [each.url for each in self.prometheus]
        gossip = free_ports(logs)
        self.loki = [_loki(folder, chosen, index, urls, writers, web["loki"][index], gossip) for index in range(logs)]

    def secrets(self) -> dict[str, str]:
        """Every secret of the stack: addresses lead to the sinks."""
        beats = self.settings.alertmanager.heartbeat
        own = {beats.url_secret: self.watcher.url("prometheus"), beats.logs_url_secret: self.watcher.url("logs")}
        return {key: own.get(key) or f"{self.people.url}/{key}" for key in secret_keys(self.settings.alertmanager)}

    def daemons(self) -> list[Daemon | Alertmanager]:
        """All processes."""
        return [*self.alertmanagers, *self.prometheus, *self.loki]

    def start(self) -> None:
        """Start all of them at once, and wait until they answer and both beats have come."""
        for daemon in self.daemons():
            daemon.start()
        for daemon in (*self.prometheus, *self.loki):
            daemon.wait()
        wait_for("no beats", lambda: all(check.pings for check in self.watcher.checks.values()), 4 * WAIT)

    def stop(self) -> None:
        """Stop everything, whatever still runs."""
        for daemon in self.daemons():
            daemon.stop(signal.SIGKILL)
        self.people.close()
        self.watcher.close()

    def told(self, path: str, *words: str) -> bool:
        """Whether a message to this path holds all the words."""
        return any(all(word in str(request.body) for word in words) for request in self.people.to(path))


def prometheus_config(
    chosen: Settings, rules: list[Path], alertmanagers: list[str], targets: Mapping[str, list[int]]
) -> dict[str, Any]:
    """What the operator makes of the chart's values, with targets by address."""
    spec = chart_values.prometheus(chosen)["prometheusSpec"]
    namespace = chosen.namespaces.main
    labels = {"cluster": chosen.cluster.name, "namespace": namespace}
    jobs = [
        {
            "job_name": job,
            "static_configs": [
                {
                    "targets": [f"{LOCAL}:{port}"],
                    "labels": {**labels, "pod": f"{job}-{index}", "container": job.rpartition("-")[2]},
                }
                for index, port in enumerate(ports)
            ],
        }
        for job, ports in targets.items()
    ]
    found = [url.removeprefix("http://") for url in alertmanagers]
    return {
        "global": {
            "scrape_interval": spec["scrapeInterval"],
            "evaluation_interval": spec["evaluationInterval"],
            "external_labels": spec["externalLabels"],
        },
        "rule_files": [str(path) for path in rules],
        "alerting": {
            # Replicas send one and the same alert.
            "alert_relabel_configs": [{"regex": "prometheus_replica", "action": "labeldrop"}],
            "alertmanagers": [{"api_version": "v2", "static_configs": [{"targets": found}]}],
        },
        "scrape_configs": jobs,
    }


def _prometheus(folder: Path, chosen: Settings, config: dict[str, Any], index: int, port: int) -> Daemon:
    folder.mkdir(parents=True)
    own = {**config["global"]["external_labels"], "prometheus_replica": f"prometheus-{index}"}
    file = folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump({**config, "global": {**config["global"], "external_labels": own}}))
    extra = chart_values.prometheus(chosen)["prometheusSpec"]["additionalArgs"]
    command = [
        str(find("prometheus")),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={LOCAL}:{port}",
        "--web.enable-remote-write-receiver",
        *(f"--{argument['name']}={argument['value']}" for argument in extra),
    ]
    return Daemon(folder, command, port, "/-/ready")


def alertmanagers(
    folder: Path, chosen: Settings, secrets: Mapping[str, str], people: HttpSink, ports: list[int]
) -> list[Alertmanager]:
    """Replicas with the configuration of the stack, that know each other; not started."""
    config = led_to(people.url, stacks.rendered(chosen, folder / "alertmanager", secrets))
    gossip = free_ports(len(ports))
    joined = [f"--cluster.peer={LOCAL}:{port}" for port in gossip] if len(ports) > 1 else []
    return [
        Alertmanager(
            folder / f"alertmanager-{index}",
            config,
            *joined,
            f"--cluster.listen-address={LOCAL}:{gossip[index]}" if joined else "--cluster.listen-address=",
            port=port,
        )
        for index, port in enumerate(ports)
    ]


def _loki(
    folder: Path,
    chosen: Settings,
    index: int,
    alertmanagers: list[str],
    writers: list[str],
    port: int,
    gossip: list[int],
) -> Daemon:
    own = folder / f"loki-{index}"
    own.mkdir(parents=True)
    config = loki_config.config(chosen)
    config["server"] |= {"http_listen_address": LOCAL, "http_listen_port": port}
    config["server"] |= {"grpc_listen_address": LOCAL, "grpc_listen_port": free_ports(1)[0]}
    config["common"] |= {"path_prefix": str(own), "instance_addr": LOCAL}
    config["common"]["storage"] = {
        "filesystem": {"chunks_directory": f"{folder}/chunks", "rules_directory": f"{folder}/unused"}
    }
    # Pods have a host name each; here it is one for all.
    config["common"]["ring"]["instance_id"] = own.name
    config["schema_config"]["configs"][0]["object_store"] = "filesystem"
    config["compactor"] |= {"working_directory": f"{own}/compactor", "delete_request_store": "filesystem"}
    config["ingester"]["wal"]["dir"] = f"{own}/wal"
    config["ruler"] |= {"rule_path": f"{own}/rules", "wal": {"dir": f"{own}/ruler-wal"}}
    config["ruler"]["storage"] = {"type": "local", "local": {"directory": f"{folder}/loki-rules"}}
    config["ruler"]["alertmanager_url"] = ",".join(alertmanagers)
    clients = {f"prometheus-{number}": {"url": f"{url}/api/v1/write"} for number, url in enumerate(writers)}
    config["ruler"]["remote_write"]["clients"] = clients
    if "memberlist" in config:
        config["memberlist"] |= {
            "node_name": own.name,
            "bind_addr": [LOCAL],
            "bind_port": gossip[index],
            "advertise_addr": LOCAL,
            "advertise_port": gossip[index],
            "join_members": [f"{LOCAL}:{member}" for member in gossip],
        }
    file = own / "loki.yaml"
    file.write_text(yaml.safe_dump(config))
    command = [str(find("loki")), f"-config.file={file}", "-config.expand-env=true", "-target=all"]
    return Daemon(own, command, port, "/ready")


def _write(rules: Selection, folder: Path) -> list[Path]:
    """Each file as its ConfigMap has it."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{file.name}.yaml" for file in rules.files]
    for path, file in zip(paths, rules.files, strict=True):
        path.write_text(content(file))
    return paths
