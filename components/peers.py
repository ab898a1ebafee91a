"""The ends of a flow, and the stack's own apps among them."""

from dataclasses import dataclass

from components import (
    addresses,
    alloy,
    central_logs,
    cloudflare_tunnel,
    dcgm_exporter,
    event_exporter_config,
    promtail,
    promtail_config,
    silences,
)
from settings import Settings


@dataclass(frozen=True)
class App:
    """Pods of one app, by their label app.kubernetes.io/name."""

    name: str
    agents: bool = False
    """Whether it lives in the namespace of the agents."""


@dataclass(frozen=True)
class Namespace:
    """Any pod of a namespace; of every namespace where `name` is None."""

    name: str | None


@dataclass(frozen=True)
class Host:
    """An address of a node, of the API server or of a link-local service: only its port can be named."""


@dataclass(frozen=True)
class Outside:
    """Any address, in the cluster or not."""


Peer = App | Namespace | Host | Outside

PROMETHEUS = App("prometheus")
ALERTMANAGER = App(addresses.ALERTMANAGER)
SILENCES = App(silences.APP)
BLACKBOX = App(addresses.BLACKBOX)
GATEWAY = App(addresses.LOKI_GATEWAY)
LOKI = App(addresses.LOKI)
MINIO = App(addresses.MINIO)
GRAFANA = App("grafana")
KUBE_STATE_METRICS = App("kube-state-metrics")
OPERATOR = App("kube-prometheus-stack-prometheus-operator")
EVENT_EXPORTER = App(event_exporter_config.APP)
TUNNEL = App(cloudflare_tunnel.APP)
DCGM = App(dcgm_exporter.APP, agents=True)
CENTRAL_LOGS = App(central_logs.APP, agents=True)
CENTRAL_EVENTS = App(central_logs.EVENTS)
LOG_AGENT_PORTS = {promtail.APP: promtail_config.PORT, alloy.APP: alloy.PORT}


def log_agent(settings: Settings) -> App:
    """The log agent that the stack runs."""
    return App(settings.log_agent.program, agents=True)


def log_agents(settings: Settings) -> list[App]:
    """That, and the one that sends to a hub."""
    return [log_agent(settings), *([CENTRAL_LOGS] if settings.central_logs else [])]


def event_exporters(settings: Settings) -> list[App]:
    """The event exporter that the stack runs, and the one that sends to a hub."""
    ours = [EVENT_EXPORTER] if settings.events.mode == "deploy" else []
    return ours + ([CENTRAL_EVENTS] if central_logs.sends_events(settings) else [])
