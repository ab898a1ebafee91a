"""Prometheus, Grafana and the chart that brings them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.base import Duration, Labels, Model, Name, Quantity, Resources, Url, amount, seconds

RETENTION_SHARE = 0.8
"""Share of a Prometheus volume that blocks may fill; the rest is for the WAL, the head and compaction."""


class ChartSettings(Model):
    """Where a Helm chart comes from; the version is pinned in components/versions.py unless it is set here."""

    location: str | None = None
    """OCI reference, chart name within `repository`, or path of a chart folder; the official OCI one by default."""
    repository: Url | None = None
    version: Annotated[str, Field(pattern=r"^v?\d+\.\d+\.\d+\S*$")] | None = None

    @model_validator(mode="after")
    def _repository_needs_name(self) -> Self:
        if self.repository and (not self.location or "/" in self.location):
            raise ValueError("repository is set, so location must be the chart's name in it, without a slash")
        return self


class KubePrometheusStackSettings(Model):
    """`observability:kubePrometheusStack`: the official chart."""

    chart: ChartSettings = ChartSettings()
    crds: Literal["install", "existing"] = "install"
    """`existing` where another team or the platform already manages the prometheus-operator CRDs."""
    crds_chart: ChartSettings = ChartSettings()


class RemoteWrite(Model):
    """One remote-write target of Prometheus."""

    url: Url
    name: Name


class PrometheusSettings(Model):
    """`observability:prometheus`."""

    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    retention: Duration = "10d"
    volume_size: Quantity = "20Gi"
    storage_class: str | None = None
    scrape_interval: Duration = "30s"
    external_url: Url | None = None
    external_labels: Labels = {}
    remote_write: list[RemoteWrite] = []
    resources: Resources = Resources(cpu="250m", memory="1Gi", memory_limit="2Gi")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if seconds(self.scrape_interval) > 120:
            raise ValueError("scrapeInterval is above 2m: series would go stale between two scrapes; use at most 2m")
        if "cluster" in self.external_labels:
            raise ValueError("externalLabels sets cluster; it is always the name of the cluster, leave it out")
        return self

    @property
    def retention_size(self) -> str:
        """Size at which Prometheus drops its oldest blocks: a share of the volume, in MiB."""
        return f"{int(amount(self.volume_size) * RETENTION_SHARE / 2**20)}MiB"


class GrafanaSettings(Model):
    """`observability:grafana`."""

    enabled: bool = True
    external_url: Url | None = None
    """Where people reach Grafana; links in messages lead there."""
    default_dashboards: bool = True
    """The chart's own Kubernetes dashboards beside ours."""
    resources: Resources = Resources(cpu="100m", memory="256Mi", memory_limit="512Mi")
