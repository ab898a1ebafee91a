"""What the stack lets in and out."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.base import Model, Name, Quantity, Resources, amount

Port = Annotated[int, Field(ge=1, le=65535)]
QuotaName = Annotated[
    str,
    Field(
        pattern=r"^(cpu|memory|ephemeral-storage|(requests|limits)\.(cpu|memory|ephemeral-storage)|requests\.storage"
        r"|pods|services|services\.loadbalancers|services\.nodeports|secrets|configmaps|persistentvolumeclaims"
        r"|count/[a-z][a-z0-9]*(\.[a-z0-9][a-z0-9.-]*)?"
        r"|[a-z0-9][a-z0-9.-]*\.storageclass\.storage\.k8s\.io/(requests\.storage|persistentvolumeclaims))$"
    ),
]
"""What a ResourceQuota counts, as Kubernetes calls it: `requests.memory`, `pods`, `persistentvolumeclaims`."""
AMOUNTS = ("cpu", "memory", "storage")
"""Ends of the quota names that are amounts; all others are whole numbers."""


class NamespaceLimits(Model):
    """What the pods of one namespace may take together, and each container."""

    quota: dict[QuotaName, Quantity] = {}
    """A ResourceQuota: at most so much of each."""
    container_default: Resources | None = None
    """A LimitRange: what a container gets that says nothing. All of the stack's own say it."""
    container_max: dict[Literal["cpu", "memory"], Quantity] = {}
    """A LimitRange: the highest limit that a container may set."""

    @model_validator(mode="after")
    def _accepted(self) -> Self:
        for name, value in self.quota.items():
            if not name.endswith(AMOUNTS) and not value.isdigit():
                raise ValueError(f"quota {name} is {value}, which is no whole number; write for example 50")
        given = self.container_default.manifest() if self.container_default else {}
        for name, most in self.container_max.items():
            for kind, values in given.items():
                if amount(values.get(name, "0m")) > amount(most):
                    raise ValueError(f"containerDefault {kind} {values[name]} of {name} is above containerMax {most}")
        return self


class LimitsSettings(Model):
    """Quota and limit range of each of the two namespaces."""

    main: NamespaceLimits = NamespaceLimits()
    agents: NamespaceLimits = NamespaceLimits()


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
    limits: LimitsSettings = LimitsSettings()
    """Quotas and limit ranges; none unless they are set. One that is too small keeps pods from being made."""
    require_digests: bool = False
    """Run every image by its digest in `images.lock`, so that a tag that was moved changes nothing."""
