"""The table of flows: who talks to whom, on which port, and why. Network policies are made of it alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from components import addresses, central_logs, cloudflare_tunnel, dcgm_pod, event_exporter, exporter_pods, loki_config
from components.address_ports import port_of, receiver_ports
from components.peers import (
    ALERTMANAGER,
    BLACKBOX,
    CENTRAL_EVENTS,
    CENTRAL_LOGS,
    DCGM,
    EVENT_EXPORTER,
    GATEWAY,
    GRAFANA,
    KUBE_STATE_METRICS,
    LOG_AGENT_PORTS,
    LOKI,
    MINIO,
    OPERATOR,
    PROMETHEUS,
    SILENCES,
    TUNNEL,
    App,
    Host,
    Namespace,
    Outside,
    Peer,
    event_exporters,
    log_agent,
    log_agents,
)
from settings import Settings
from settings.cluster import ControlPlane, Software
from settings.logs import S3, Filesystem, MinIO

API_SERVER_PORTS = (443, 6443)
"""Of the API server's Service and of its own endpoints: plugins differ in which of them a policy sees."""
KUBELET_PORT = 10250
NODE_EXPORTER_PORT = 9100
METADATA_PORTS = (80, 988)
"""Cloud identities: instance metadata on 80; GKE's own server for workload identity also on 988."""
CONTROL_PLANE_PORTS = {
    ControlPlane.SCHEDULER: 10259,
    ControlPlane.CONTROLLER_MANAGER: 10257,
    ControlPlane.ETCD: 2381,
    ControlPlane.KUBE_PROXY: 10249,
}
CALICO_PORTS = (9091, 9093)
"""Felix and Typha, on the node's address."""


@dataclass(frozen=True)
class Flow:
    """One allowed direction. `port` is the pod's own port, not its Service's; None is any port and protocol."""

    source: Peer
    target: Peer
    port: int | None
    why: str
    protocol: str = "TCP"


GRAFANA_PORT = 3000
RELOADER_PORT = 8080
TUNNEL_EDGE_PORT = 7844
"""Of Cloudflare's edge: QUIC, and HTTP/2 where UDP is closed."""


def flows(settings: Settings) -> list[Flow]:
    """Every flow of a stack, beside DNS, which every pod may ask. Each is listed once."""
    found = [*_metrics(settings), *_alerts(settings), *_logs(settings), *_people(settings), *_api_server(settings)]
    return list(dict.fromkeys(found))


def apps(settings: Settings) -> list[App]:
    """Apps of the stack whose pods have an address of their own. node-exporter has the node's: no policy binds it."""
    both = [peer for flow in flows(settings) for peer in (flow.source, flow.target) if isinstance(peer, App)]
    return sorted(set(both), key=lambda app: (app.agents, app.name))


def _metrics(settings: Settings) -> Iterator[Flow]:
    scraped = [
        (PROMETHEUS, addresses.PROMETHEUS_PORT),
        (PROMETHEUS, RELOADER_PORT),
        (ALERTMANAGER, addresses.ALERTMANAGER_PORT),
        (BLACKBOX, addresses.BLACKBOX_PORT),
        (LOKI, addresses.LOKI_PORT),
        (KUBE_STATE_METRICS, 8080),
        (OPERATOR, 8080),
        *((agent, LOG_AGENT_PORTS[settings.log_agent.program]) for agent in log_agents(settings)),
    ]
    scraped += [(GRAFANA, GRAFANA_PORT)] if settings.grafana.enabled else []
    scraped += [(DCGM, dcgm_pod.PORT)] if settings.dcgm.mode == "deploy" else []
    scraped += [(exporter, event_exporter.PORT) for exporter in event_exporters(settings)]
    scraped += [(TUNNEL, cloudflare_tunnel.PORT)] if settings.cloudflare_tunnel.mode == "deploy" else []
    for exported in exporter_pods.instances(settings):
        scraped.append((App(exported.exporter), exporter_pods.PORTS[exported.exporter]))
    also = {ALERTMANAGER: "alerts, and metrics", BLACKBOX: "probes, and metrics"}
    for app, port in scraped:
        yield Flow(PROMETHEUS, app, port, also.get(app, "metrics"))
    yield Flow(PROMETHEUS, Namespace(None), None, "metrics of pods that monitors of other namespaces name")
    for port in (KUBELET_PORT, NODE_EXPORTER_PORT, *settings.security.host_scrape_ports):
        yield Flow(PROMETHEUS, Host(), port, "metrics of the nodes")
    for part in settings.cluster.control_plane:
        yield Flow(PROMETHEUS, Host(), CONTROL_PLANE_PORTS[part], "metrics of the control plane")
    if Software.CALICO in settings.cluster.runs:
        for port in CALICO_PORTS:
            yield Flow(PROMETHEUS, Host(), port, "metrics of Calico")
    for target in settings.prometheus.remote_write:
        yield Flow(PROMETHEUS, Outside(), port_of(target.url), "remote write")
    for probe in settings.blackbox.probes.values():
        if probe.prober:
            yield Flow(PROMETHEUS, Outside(), port_of(probe.prober), "probes by a prober elsewhere")
    for exported in exporter_pods.instances(settings):
        yield Flow(App(exported.exporter), Outside(), int(exported.address.rpartition(":")[2]), "what it measures")
    yield Flow(BLACKBOX, Outside(), None, "probes: targets may be anywhere, on any port, and ping has none")
    for app, port in (
        (PROMETHEUS, addresses.PROMETHEUS_PORT),
        (ALERTMANAGER, addresses.ALERTMANAGER_PORT),
        (GATEWAY, addresses.GATEWAY_PORT),
        (BLACKBOX, addresses.BLACKBOX_PORT),
        *([(GRAFANA, GRAFANA_PORT)] if settings.grafana.enabled else []),
    ):
        yield Flow(BLACKBOX, app, port, "probes of the stack's own services")


def _alerts(settings: Settings) -> Iterator[Flow]:
    yield Flow(LOKI, ALERTMANAGER, addresses.ALERTMANAGER_PORT, "alerts of Loki's ruler")
    for protocol in ("TCP", "UDP"):
        yield Flow(ALERTMANAGER, ALERTMANAGER, addresses.MESH_PORT, "mesh: notification log and silences", protocol)
    if settings.alertmanager.silences is not None:
        yield Flow(SILENCES, ALERTMANAGER, addresses.ALERTMANAGER_PORT, "silences of the stack file")
    for port in sorted({443, *settings.security.receiver_ports, *receiver_ports(settings.alertmanager)}):
        yield Flow(ALERTMANAGER, Outside(), port, "receivers and heartbeats")


def _logs(settings: Settings) -> Iterator[Flow]:
    loki = settings.loki
    yield Flow(log_agent(settings), GATEWAY, addresses.GATEWAY_PORT, "log lines")
    if settings.central_logs:
        yield Flow(CENTRAL_LOGS, Outside(), port_of(settings.central_logs.url), "log lines to the hub")
        if central_logs.sends_events(settings):
            yield Flow(CENTRAL_EVENTS, Outside(), port_of(settings.central_logs.url), "events to the hub")
    if settings.hub.log_senders:
        for namespace in settings.security.ingress_namespaces:
            why = "log lines of other clusters, by an ingress controller"
            yield Flow(Namespace(namespace), GATEWAY, addresses.GATEWAY_PORT, why)
    if settings.events.mode == "deploy":
        yield Flow(EVENT_EXPORTER, GATEWAY, addresses.GATEWAY_PORT, "events of Kubernetes as lines")
    yield Flow(GATEWAY, LOKI, addresses.LOKI_PORT, "log lines and queries")
    yield Flow(LOKI, PROMETHEUS, addresses.PROMETHEUS_PORT, "recordings of Loki's ruler, by remote write")
    for port in (addresses.LOKI_GRPC_PORT, loki_config.GOSSIP_PORT):
        yield Flow(LOKI, LOKI, port, "replicas: queries and ring")
    if loki.distributed:
        yield Flow(LOKI, LOKI, addresses.LOKI_PORT, "parts: new lines, from querier to query frontend")
    if isinstance(loki.storage, MinIO):
        yield Flow(LOKI, MINIO, addresses.MINIO_PORT, "object storage")
        yield Flow(PROMETHEUS, MINIO, addresses.MINIO_PORT, "metrics")
    elif not isinstance(loki.storage, Filesystem):
        endpoint = loki.storage.endpoint if isinstance(loki.storage, S3) else None
        for port in sorted({443, port_of(endpoint) if endpoint else 443}):
            yield Flow(LOKI, Outside(), port, "object storage, and the token service of a cloud identity")
        for port in METADATA_PORTS:
            yield Flow(LOKI, Host(), port, "cloud identity of the node or pod")


def _people(settings: Settings) -> Iterator[Flow]:
    pages = [(PROMETHEUS, addresses.PROMETHEUS_PORT), (ALERTMANAGER, addresses.ALERTMANAGER_PORT)]
    if settings.grafana.enabled:
        for app, port in (*pages, (GATEWAY, addresses.GATEWAY_PORT)):
            yield Flow(GRAFANA, app, port, "datasources")
        pages.append((GRAFANA, GRAFANA_PORT))
        if settings.grafana.plugins:
            yield Flow(GRAFANA, Outside(), 443, "plugins, from Grafana's catalogue")
        if oidc := settings.grafana.oidc:
            for port in sorted({port_of(oidc.token_url), port_of(oidc.api_url)}):
                yield Flow(GRAFANA, Outside(), port, "single sign-on")
    if settings.cloudflare_tunnel.mode == "deploy":
        for app, port in pages:
            if app.name in settings.cloudflare_tunnel.opens:
                yield Flow(TUNNEL, app, port, "people, by the Cloudflare tunnel")
        for protocol in ("TCP", "UDP"):
            yield Flow(TUNNEL, Outside(), TUNNEL_EDGE_PORT, "the tunnel itself", protocol)
    for namespace in settings.security.ingress_namespaces:
        for app, port in pages:
            yield Flow(Namespace(namespace), app, port, "people, by an ingress controller")


def _api_server(settings: Settings) -> Iterator[Flow]:
    clients = {
        PROMETHEUS: "discovery, and its metrics",
        OPERATOR: "its objects",
        KUBE_STATE_METRICS: "state of all objects",
        **dict.fromkeys(log_agents(settings), "pods of its node"),
    }
    clients |= dict.fromkeys(event_exporters(settings), "events")
    if settings.grafana.enabled:
        clients[GRAFANA] = "ConfigMaps of dashboards"
    for client, why in clients.items():
        for port in API_SERVER_PORTS:
            yield Flow(client, Host(), port, f"API server: {why}")
