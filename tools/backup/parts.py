"""What of a stack has data on claims: whose they are, and how they are called."""

from dataclasses import dataclass

from components import addresses, alertmanager, chart_values, loki, minio
from settings import Settings
from settings.logs import MinIO


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

    def pods(self) -> list[tuple[str, str]]:
        """Pod and claim of each replica."""
        return [(f"{self.pod}-{index}", f"{self.claim}-{index}") for index in range(self.replicas)]


def parts(settings: Settings) -> list[Part]:
    """Prometheus, Alertmanager, Loki and its MinIO, where it has one. The operator names claims of two.

    Parts of a distributed Loki are left out: what they hold is on its way to the bucket.
    """
    prometheus = f"prometheus-{addresses.PROMETHEUS}"
    alerts = f"alertmanager-{addresses.ALERTMANAGER}"
    found = [
        Part(
            "prometheus",
            f"prometheuses.monitoring.coreos.com/{addresses.PROMETHEUS}",
            settings.prometheus.replicas,
            prometheus,
            f"prometheus-{addresses.PROMETHEUS}-db-{prometheus}",
            chart_values.PROMETHEUS_USER,
        ),
        Part(
            "alertmanager",
            f"alertmanagers.monitoring.coreos.com/{addresses.ALERTMANAGER}",
            settings.alertmanager.replicas,
            alerts,
            f"data-{alerts}",
            alertmanager.USER,
        ),
    ]
    if not settings.loki.distributed:
        replicas = settings.loki.replicas
        found.append(Part("loki", f"statefulset/{addresses.LOKI}", replicas, addresses.LOKI, "data-loki", loki.USER))
    if isinstance(settings.loki.storage, MinIO):
        found.append(Part("minio", f"statefulset/{minio.APP}", 1, minio.APP, f"data-{minio.APP}", minio.USER))
    return found
