"""Which cluster the stack is for, and what it runs."""

from enum import StrEnum
from typing import Self

from pydantic import field_validator, model_validator

from settings.base import Model, Name


class Distribution(StrEnum):
    """How the cluster is made: decides which control-plane parts can be scraped."""

    EKS = "eks"
    GKE = "gke"
    AKS = "aks"
    K3S = "k3s"
    KUBEADM = "kubeadm"
    LOCAL = "local"


REFUSED = {
    "gke-autopilot": "GKE Autopilot allows no host paths, which log agent and node exporter need",
    "eks-fargate": "Fargate runs no DaemonSets, which log agent and node exporter are",
    "fargate": "Fargate runs no DaemonSets, which log agent and node exporter are",
    "autopilot": "GKE Autopilot allows no host paths, which log agent and node exporter need",
}


class ControlPlane(StrEnum):
    """Control-plane parts with metrics endpoints of their own."""

    SCHEDULER = "scheduler"
    CONTROLLER_MANAGER = "controller-manager"
    ETCD = "etcd"
    KUBE_PROXY = "kube-proxy"


class Software(StrEnum):
    """Optional software of a cluster. Its rules are shipped only where the stack says that it runs."""

    ARGO_CD = "argo-cd"
    CALICO = "calico"
    CERT_MANAGER = "cert-manager"
    CLOUDFLARE_TUNNEL = "cloudflare-tunnel"
    FLUX = "flux"
    HOME_ASSISTANT = "home-assistant"
    MONGODB = "mongodb"
    MQTT = "mqtt"
    NFS = "nfs"
    OPERATORS = "operators"
    POSTGRESQL = "postgresql"
    TESLAMATE = "teslamate"


class ClusterSettings(Model):
    """`observability:cluster`: name, kind and access of the cluster."""

    name: Name
    """Value of the `cluster` label on every series, log line and alert."""
    distribution: Distribution
    context: str | None = None
    """Context of the kubeconfig; the current one where it is not set."""
    kubeconfig: str | None = None
    """Path of a kubeconfig; the usual search order where it is not set."""
    identifier: Name | None = None
    """Stable identity of the cluster for the provider: with it, a changed kubeconfig replaces nothing."""
    runs: list[Software] = []
    """Optional software, whose rules are shipped."""
    control_plane: list[ControlPlane] = []
    """Parts whose metrics the cluster's owner has bound to the node's address; scraped, with their rules."""

    @field_validator("distribution", mode="before")
    @classmethod
    def _supported(cls, value: object) -> object:
        if isinstance(value, str) and value in REFUSED:
            raise ValueError(f"is not supported: {REFUSED[value]}")
        return value

    @model_validator(mode="after")
    def _once(self) -> Self:
        twice = sorted({s.value for s in self.runs if self.runs.count(s) > 1})
        if twice:
            raise ValueError(f"runs names {', '.join(twice)} twice; name each once")
        if self.control_plane and self.distribution not in {Distribution.KUBEADM, Distribution.LOCAL}:
            raise ValueError(
                f"controlPlane is set, but {self.distribution.value} does not expose these parts; remove it"
            )
        return self


class NamespacesSettings(Model):
    """`observability:namespaces`: where the stack lives."""

    main: Name = "monitoring"
    """Everything that runs under the `restricted` Pod Security level."""
    agents: Name = "monitoring-agents"
    """What needs the host: log agent, node exporter, DCGM exporter. Level `privileged`."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.main == self.agents:
            raise ValueError("main and agents are the same; the agents need a privileged namespace of their own")
        return self
