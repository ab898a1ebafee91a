"""What the stack lets in and out."""

from typing import Annotated

from pydantic import Field

from settings.base import Model, Name

Port = Annotated[int, Field(ge=1, le=65535)]


class SecuritySettings(Model):
    """`observability:security`: network policies, from the table in components/flows.py."""

    network_policies: bool | None = None
    """Deny everything that is not in the table of flows. On by default, but for the distribution `local`, whose network
    plugin enforces no policy."""
    receiver_ports: list[Port] = [80, 443]
    """Ports of receivers and heartbeats whose address is a secret (webhooks, chats): Alertmanager may reach these."""
    host_scrape_ports: list[Port] = []
    """Ports on nodes that Prometheus scrapes beside kubelet, node-exporter and API server: a network plugin's."""
    ingress_namespaces: list[Name] = []
    """Namespaces of ingress controllers that may open Grafana, Prometheus and Alertmanager for people."""
