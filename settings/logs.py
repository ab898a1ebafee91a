"""Loki and the log agent."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.base import Duration, Model, Name, Quantity, Resources, SecretKey, Url, amount, seconds
from settings.log_agent import Streams
from settings.metrics import ChartSettings


class Filesystem(Model):
    """Chunks on the claim of the one Loki pod."""

    type: Literal["filesystem"] = "filesystem"


class S3(Model):
    """Chunks in an S3 bucket, or in anything that speaks S3."""

    type: Literal["s3"]
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    region: str
    endpoint: Url | None = None
    """For S3-like services (MinIO, Ceph); AWS where it is not set."""
    access_key_id_secret: SecretKey | None = None
    secret_access_key_secret: SecretKey | None = None
    """Both keys, or neither where the pod has a cloud identity (`serviceAccountAnnotations`)."""

    @model_validator(mode="after")
    def _both_keys(self) -> Self:
        if (self.access_key_id_secret is None) != (self.secret_access_key_secret is None):
            raise ValueError("only one of accessKeyIdSecret and secretAccessKeySecret is set; set both or neither")
        return self


class GCS(Model):
    """Chunks in a Google Cloud Storage bucket, reached by workload identity."""

    type: Literal["gcs"]
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$")]


class Azure(Model):
    """Chunks in an Azure blob container."""

    type: Literal["azure"]
    account: Annotated[str, Field(pattern=r"^[a-z0-9]{3,24}$")]
    container: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
    account_key_secret: SecretKey | None = None
    """Key of the storage account; federated workload identity where it is not set."""


class MinIO(Model):
    """Chunks in a MinIO of the stack's own, one pod on one claim: for a cluster that has no object storage."""

    type: Literal["minio"]
    volume_size: Quantity = "50Gi"
    resources: Resources = Resources(cpu="100m", memory="512Mi", memory_limit="2Gi")


Storage = Annotated[Filesystem | S3 | GCS | Azure | MinIO, Field(discriminator="type")]


class LokiLimits(Model):
    """Limits of the tenant; defaults are sized for one small cluster (Loki's own are 4 MB/s and 5000 streams)."""

    ingestion_rate_mb: Annotated[float, Field(gt=0)] = 8.0
    ingestion_burst_size_mb: Annotated[float, Field(gt=0)] = 16.0
    per_stream_rate_limit: Quantity = "5M"
    per_stream_rate_limit_burst: Quantity = "20M"
    max_streams: Annotated[int, Field(ge=100)] = 10000
    max_line_size: Quantity = "256Ki"
    max_query_series: Annotated[int, Field(ge=100)] = 5000

    @model_validator(mode="after")
    def _burst(self) -> Self:
        if self.ingestion_burst_size_mb < self.ingestion_rate_mb:
            raise ValueError("ingestionBurstSizeMb is below ingestionRateMb; a burst is at least the rate")
        if amount(self.per_stream_rate_limit_burst) < amount(self.per_stream_rate_limit):
            raise ValueError("perStreamRateLimitBurst is below perStreamRateLimit; a burst is at least the rate")
        return self


class StreamRetention(Streams):
    """Streams that are kept longer or shorter than all others."""

    period: Duration

    @model_validator(mode="after")
    def _hours(self) -> Self:
        _whole_hours("period", self.period)
        return self


def _whole_hours(name: str, period: str) -> None:
    if seconds(period) < 86400 or seconds(period) % 3600:
        raise ValueError(f"{name} {period} is not whole hours of at least 24h (index period)")


class GatewaySettings(Model):
    """The NGINX in front of Loki: it asks for a password and sets the tenant."""

    replicas: Annotated[int, Field(ge=1, le=10)] = 1
    resources: Resources = Resources(cpu="20m", memory="32Mi", memory_limit="128Mi")


class LokiParts(Model):
    """Pods of each part of a distributed Loki; the compactor is always one."""

    distributors: Annotated[int, Field(ge=1, le=100)] = 3
    ingesters: Annotated[int, Field(ge=3, le=100)] = 3
    queriers: Annotated[int, Field(ge=1, le=100)] = 3
    query_frontends: Annotated[int, Field(ge=1, le=10)] = 2
    query_schedulers: Annotated[int, Field(ge=1, le=10)] = 2
    index_gateways: Annotated[int, Field(ge=1, le=20)] = 2
    rulers: Annotated[int, Field(ge=1, le=20)] = 2
    resources: Resources = Resources(cpu="100m", memory="256Mi", memory_limit="2Gi")
    """Of a pod of each part but the ingesters, which hold the lines and have `loki.resources`."""


class LokiSettings(Model):
    """`observability:loki`."""

    mode: Literal["singleBinary", "distributed"] = "singleBinary"
    """`distributed`: each part of Loki in pods of its own, by the official chart; for large clusters."""
    parts: LokiParts = LokiParts()
    chart: ChartSettings = ChartSettings()
    """Where the chart of a distributed Loki comes from."""
    replicas: Annotated[int, Field(ge=1, le=15)] = 1
    """Pods of a `singleBinary` Loki."""
    storage: Storage = Filesystem()
    retention: Duration = "7d"
    retention_streams: list[StreamRetention] = []
    """Streams with a retention of their own; the first entry that fits a stream counts."""
    compression: Literal["snappy", "gzip"] = "snappy"
    """Of stored lines. `gzip` takes a third less disk, and a search twice the processor time. Both stay readable."""
    volume_size: Quantity = "10Gi"
    storage_class: str | None = None
    tenant: Name = "main"
    limits: LokiLimits = LokiLimits()
    evaluation_interval: Duration = "30s"
    gateway: GatewaySettings = GatewaySettings()
    service_account_annotations: dict[str, str] = {}
    """Cloud identity, for example `eks.amazonaws.com/role-arn`."""
    resources: Resources = Resources(cpu="250m", memory="512Mi", cpu_limit="1", memory_limit="2Gi")

    @model_validator(mode="after")
    def _of_mode(self) -> Self:
        if self.distributed and self.storage.type == "filesystem":
            raise ValueError("mode distributed needs object storage, which all parts share; set storage")
        if self.distributed and self.replicas != 1:
            raise ValueError("replicas is for mode singleBinary; set parts, such as parts.ingesters")
        if not self.distributed and self.parts != LokiParts():
            raise ValueError("parts is for mode distributed; set replicas, or the mode")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.replicas > 1 and self.storage.type == "filesystem":
            raise ValueError("replicas above 1 need object storage, since each pod has a filesystem of its own")
        if self.replicas == 2:
            raise ValueError("replicas 2 cannot keep a quorum of copies; use 1, or 3 and more")
        _whole_hours("retention", self.retention)
        if self.service_account_annotations and self.storage.type == "filesystem":
            raise ValueError("serviceAccountAnnotations give a cloud identity, but storage is filesystem; remove one")
        if self.service_account_annotations and self.storage.type == "minio":
            raise ValueError("serviceAccountAnnotations give a cloud identity, but storage is minio; remove one")
        return self

    @property
    def distributed(self) -> bool:
        """Whether each part of Loki has pods of its own."""
        return self.mode == "distributed"

    @property
    def replication_factor(self) -> int:
        """Copies of each line: three as soon as there are three pods."""
        return 3 if self.distributed or self.replicas > 1 else 1


class EventsSettings(Model):
    """`observability:events`."""

    mode: Literal["deploy", "existing", "off"] = "deploy"
    """`existing`: something else already ships events in our line format. `off`: no events, no event rules."""
    resources: Resources = Resources(cpu="20m", memory="96Mi", memory_limit="256Mi")
