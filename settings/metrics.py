"""Prometheus, Grafana and the chart that brings them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.base import (
    Duration,
    Labels,
    Model,
    Name,
    Quantity,
    Regex,
    Resources,
    SecretKey,
    Url,
    amount,
    needs_tls,
    seconds,
)
from settings.central_logs import LogSender

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


OptionalCrd = Literal["prometheusagents", "thanosrulers"]


class KubePrometheusStackSettings(Model):
    """`observability:kubePrometheusStack`: the official chart."""

    chart: ChartSettings = ChartSettings()
    crds: Literal["install", "existing"] = "install"
    """`existing` where another team or the platform already manages the prometheus-operator CRDs."""
    optional_crds: frozenset[OptionalCrd] = frozenset()
    """CRDs that the stack itself has no use for, for teams that make such objects; the operator does without them."""
    crds_chart: ChartSettings = ChartSettings()

    @model_validator(mode="after")
    def _installs_what_is_asked_for(self) -> Self:
        if self.crds == "existing" and self.optional_crds:
            raise ValueError("optionalCrds are installed by the stack, but crds is existing; leave one of them out")
        return self


class RemoteWriteQueue(Model):
    """How Prometheus sends: its own defaults, but for fewer shards. What fails is tried again without end."""

    capacity: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    """Samples that wait in memory for each shard."""
    max_shards: Annotated[int, Field(ge=1, le=200)] = 20
    """Requests at a time; each costs memory for `capacity` samples."""
    max_samples_per_send: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    batch_send_deadline: Duration = "5s"
    min_backoff: Duration = "1s"
    max_backoff: Duration = "30s"
    """The longest pause between two tries. Prometheus keeps about two hours of what could not be sent."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if seconds(self.max_backoff) < seconds(self.min_backoff):
            raise ValueError(f"maxBackoff {self.max_backoff} is below minBackoff {self.min_backoff}; raise it")
        if self.capacity < self.max_samples_per_send:
            raise ValueError("capacity is below maxSamplesPerSend; a shard holds at least one request")
        return self


class RemoteWrite(Model):
    """One remote-write target of Prometheus: a hub, or any store that takes Prometheus' remote write."""

    url: Url
    name: Name
    username: Annotated[str, Field(min_length=1)] | None = None
    password_secret: SecretKey | None = None
    token_secret: SecretKey | None = None
    """A bearer token, instead of user and password."""
    ca_secret: SecretKey | None = None
    """Certificate (PEM) of the authority that signed the target's, where the image of Prometheus does not know it."""
    keep: Regex | None = None
    """A regular expression of metric names: only these are sent, and what tells a hub that the cluster lives."""
    timeout: Duration = "30s"
    queue: RemoteWriteQueue = RemoteWriteQueue()

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if (self.username is None) != (self.password_secret is None):
            raise ValueError("only one of username and passwordSecret is set; set both or neither")
        if self.token_secret and self.username:
            raise ValueError("tokenSecret and username are both set; a target takes one of them")
        if self.ca_secret:
            needs_tls(self.url)
        return self


class HubSettings(Model):
    """`observability:hub`: a Prometheus that other clusters write to, apart from the cluster's own, and their logs."""

    enabled: bool = False
    retention: Duration = "30d"
    volume_size: Quantity = "50Gi"
    storage_class: str | None = None
    resources: Resources = Resources(cpu="500m", memory="2Gi", memory_limit="4Gi")
    log_senders: list[LogSender] = []
    """Clusters whose log lines the cluster's Loki takes beside its own (their `centralLogs`), each as a tenant."""

    @model_validator(mode="after")
    def _senders(self) -> Self:
        names = [sender.cluster for sender in self.log_senders]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"logSenders names {twice[0]} more than once; a cluster has one password")
        return self

    @property
    def retention_size(self) -> str:
        """Size at which it drops its oldest blocks, in MiB."""
        return f"{int(amount(self.volume_size) * RETENTION_SHARE / 2**20)}MiB"


class AnnotatedPods(Model):
    """Pods with the annotation `prometheus.io/scrape: "true"`, and the usual ones for port, path and scheme."""

    enabled: bool = False
    namespaces: list[Name] = []
    """Only in these namespaces; in all where it is empty."""
    sample_limit: Annotated[int, Field(ge=1)] = 20_000
    """A pod that gives more samples is not scraped: anybody who may make pods may ask."""


class PrometheusSettings(Model):
    """`observability:prometheus`."""

    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    retention: Duration = "10d"
    volume_size: Quantity = "20Gi"
    storage_class: str | None = None
    scrape_interval: Duration = "30s"
    kube_state_metrics_interval: Duration = "15s"
    """How often kube-state-metrics is scraped: what critical alerts say of workloads and nodes is as old as that."""
    external_url: Url | None = None
    external_labels: Labels = {}
    remote_write: list[RemoteWrite] = []
    annotated_pods: AnnotatedPods = AnnotatedPods()
    resources: Resources = Resources(cpu="250m", memory="1Gi", memory_limit="2Gi")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        own = {"kubeStateMetricsInterval": self.kube_state_metrics_interval}
        for name, interval in {"scrapeInterval": self.scrape_interval, **own}.items():
            if seconds(interval) > 120:
                raise ValueError(f"{name} is above 2m: series would go stale between two scrapes; use at most 2m")
        if "cluster" in self.external_labels:
            raise ValueError("externalLabels sets cluster; it is always the name of the cluster, leave it out")
        names = [target.name for target in self.remote_write]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"remoteWrite has the name {twice[0]} more than once, which Prometheus refuses")
        return self

    @property
    def retention_size(self) -> str:
        """Size at which Prometheus drops its oldest blocks: a share of the volume, in MiB."""
        return f"{int(amount(self.volume_size) * RETENTION_SHARE / 2**20)}MiB"
