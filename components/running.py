"""What a cluster runs, and hence which rules and control-plane targets it gets: one table per distribution."""

from collections.abc import Mapping
from dataclasses import dataclass

from components import journal
from settings import Settings
from settings.base import seconds
from settings.cluster import ControlPlane, Distribution, Software
from settings.exporters import MOSQUITTO, POSTGRES, SQL

ALWAYS = ("workloads", "resources", "nodes", "storage", "network", "monitoring", "blackbox", "control-plane")
MONTH = 31 * 86400


@dataclass(frozen=True)
class Preset:
    """What can be scraped on a distribution as it is installed."""

    coredns: bool
    """CoreDNS with its metrics port, under the usual label k8s-app=kube-dns."""
    managed: str | None
    """Why the control-plane parts cannot be scraped at all; None where the owner may expose them."""


PRESETS: dict[Distribution, Preset] = {
    # EKS runs CoreDNS as an add-on; the control plane is AWS's own.
    Distribution.EKS: Preset(True, "EKS does not expose its control plane to scrapes"),
    # GKE answers DNS by kube-dns or Cloud DNS, neither with CoreDNS metrics.
    Distribution.GKE: Preset(False, "GKE does not expose its control plane to scrapes"),
    Distribution.AKS: Preset(True, "AKS does not expose its control plane to scrapes"),
    # k3s is one process: every metric of it already comes with the API server's and kubelet's endpoints.
    Distribution.K3S: Preset(True, "k3s runs its control plane inside one process, without endpoints of their own"),
    # kubeadm binds scheduler, controller-manager, etcd and kube-proxy metrics to 127.0.0.1 until the owner changes it.
    Distribution.KUBEADM: Preset(True, None),
    Distribution.LOCAL: Preset(True, None),
}


def running(settings: Settings) -> dict[str, str | None]:
    """For each component None where the stack runs it, else the reason why its rules are left out."""
    cluster = settings.cluster
    preset = PRESETS[cluster.distribution]
    distribution = cluster.distribution.value
    result: dict[str, str | None] = dict.fromkeys(ALWAYS)
    result |= {
        software.value: None if software in cluster.runs else f"cluster.runs does not name {software.value}"
        for software in Software
    }
    result |= {
        part.value: None if part in cluster.control_plane else preset.managed or _not_exposed(part, distribution)
        for part in ControlPlane
    }
    result["coredns"] = (
        None if preset.coredns else f"{distribution} does not serve DNS by a CoreDNS that can be scraped"
    )
    result["events"] = None if settings.events.mode != "off" else "events.mode is off"
    result["gpu"] = None if settings.dcgm.mode != "off" else "dcgm.mode is off"
    result["journal"] = journal.missing(settings)
    result["grafana"] = None if settings.grafana.enabled else "grafana.enabled is false"
    result["hub"] = None if settings.hub.enabled else "hub.enabled is false"
    result["hub-logs"] = None if settings.hub.log_senders else "hub.logSenders is empty"
    result["central-logs"] = None if settings.central_logs else "centralLogs is not set"
    for name, key, software in (
        (POSTGRES, "postgresql", Software.POSTGRESQL),
        (MOSQUITTO, "mosquitto", Software.MQTT),
        (SQL, "teslamate", Software.TESLAMATE),
    ):
        off = settings.exporters.by_name()[name].mode == "off"
        result[name] = f"it needs {name}, and exporters.{key}.mode is off" if off else None
        # What is exported runs.
        result[software.value] = result[software.value] if off else None
    tunnel = settings.cloudflare_tunnel.mode != "off"
    result["cloudflared"] = None if tunnel else "it needs metrics of cloudflared, and cloudflareTunnel.mode is off"
    result[Software.CLOUDFLARE_TUNNEL.value] = None if tunnel else result[Software.CLOUDFLARE_TUNNEL.value]
    result["remote-write"] = None if settings.prometheus.remote_write else "prometheus.remoteWrite is empty"
    long_enough = seconds(settings.prometheus.retention) >= MONTH or settings.prometheus.remote_write
    result["availability-30d"] = (
        None
        if long_enough
        else f"prometheus.retention {settings.prometheus.retention} is below 31d and there is no remote write"
    )
    return result


def _not_exposed(part: ControlPlane, distribution: str) -> str:
    return f"cluster.controlPlane does not name {part.value} ({distribution} binds it to the node's loopback)"


def scraped_parts(settings: Settings) -> Mapping[str, bool]:
    """Which control-plane targets the chart sets up, by the chart's own value names."""
    parts = settings.cluster.control_plane
    return {
        "kubeScheduler": ControlPlane.SCHEDULER in parts,
        "kubeControllerManager": ControlPlane.CONTROLLER_MANAGER in parts,
        "kubeEtcd": ControlPlane.ETCD in parts,
        "kubeProxy": ControlPlane.KUBE_PROXY in parts,
        "coreDns": PRESETS[settings.cluster.distribution].coredns,
    }
