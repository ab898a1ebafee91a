"""What of a stack has data on claims: whose they are, and how they are called."""

from dataclasses import dataclass, replace

from components import addresses, alertmanager, chart_values, loki, minio
from settings import Settings
from settings.logs import MinIO

GRAFANA_USER = 472
"""As the chart runs it."""


@dataclass(frozen=True)
class Part:
    """A daemon with a claim a pod. `scaled` is the object by which its pods are made, as kubectl names it."""

    name: str
    scaled: str
    replicas: int
    pod: str
    """Name of a pod without its number."""
    claim: str
    """Name of a claim without its number."""
    user: int
    size: str
    """What each claim asks for, by the stack file."""
    stopped: bool = False
    """Whether it has to be stopped while its claim is copied: one file of it is a database."""

    def pods(self) -> list[tuple[str, str]]:
        """Pod and claim of each replica."""
        return [(f"{self.pod}-{index}", f"{self.claim}-{index}") for index in range(self.replicas)]


def parts(settings: Settings) -> list[Part]:
    """Prometheus, the hub's, Alertmanager, Loki, its MinIO and Grafana, as far as they have claims.

    Parts of a distributed Loki are left out: what they hold is on its way to the bucket.
    """
    alerts = f"alertmanager-{addresses.ALERTMANAGER}"
    found = [
        _prometheus(
            "prometheus",
            addresses.PROMETHEUS,
            f"prometheus-{addresses.PROMETHEUS}-db",
            settings.prometheus.replicas,
            settings.prometheus.volume_size,
        ),
        Part(
            "alertmanager",
            f"alertmanagers.monitoring.coreos.com/{addresses.ALERTMANAGER}",
            settings.alertmanager.replicas,
            alerts,
            f"data-{alerts}",
            alertmanager.USER,
            settings.alertmanager.volume_size,
        ),
    ]
    if settings.hub.enabled:
        found.append(_prometheus("hub", addresses.HUB, "data", 1, settings.hub.volume_size))
    if not settings.loki.distributed:
        replicas, size = settings.loki.replicas, settings.loki.volume_size
        found.append(_stateful("loki", addresses.LOKI, "data", loki.USER, size, replicas))
    if isinstance(settings.loki.storage, MinIO):
        found.append(_stateful("minio", minio.APP, "data", minio.USER, settings.loki.storage.volume_size))
    if settings.grafana.enabled and (size_of_grafana := settings.grafana.volume_size):
        grafana = _stateful("grafana", addresses.GRAFANA, "storage", GRAFANA_USER, size_of_grafana)
        found.append(replace(grafana, stopped=True))
    return found


def _prometheus(name: str, object_name: str, template: str, replicas: int, size: str) -> Part:
    """One that the operator runs: it names pods and claims after its object."""
    pod = f"prometheus-{object_name}"
    scaled = f"prometheuses.monitoring.coreos.com/{object_name}"
    return Part(name, scaled, replicas, pod, f"{template}-{pod}", chart_values.PROMETHEUS_USER, size)


def _stateful(name: str, object_name: str, template: str, user: int, size: str, replicas: int = 1) -> Part:
    return Part(name, f"statefulset/{object_name}", replicas, object_name, f"{template}-{object_name}", user, size)
