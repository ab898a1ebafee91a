"""Logs of one cluster in the Loki of another: what a spoke sends, and whom a hub lets in."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from settings.base import Duration, Model, Name, Quantity, Resources, SecretKey, Url, amount, needs_tls, seconds

PUSH = "/loki/api/v1/push"


def _base(value: str) -> str:
    if value.endswith(PUSH):
        raise ValueError(f"ends with {PUSH}, which is added by itself; leave it out")
    return value


class CentralLogsQueue(Model):
    """How the agent sends. What is not taken is tried again without end; it waits in the log files of the node."""

    batch_size: Quantity = "256Ki"
    """Of one push, before compression: this is what a killed agent can send twice."""
    batch_wait: Duration = "1s"
    """The longest time that a line waits for others."""
    min_backoff: Duration = "1s"
    max_backoff: Duration = "30s"
    """The longest pause between two tries."""
    timeout: Duration = "30s"
    """Of one push."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if seconds(self.max_backoff) < seconds(self.min_backoff):
            raise ValueError(f"maxBackoff {self.max_backoff} is below minBackoff {self.min_backoff}; raise it")
        if not 2**10 <= amount(self.batch_size) <= 4 * 2**20:
            raise ValueError(f"batchSize {self.batch_size} is not between 1Ki and 4Mi, which Loki takes at once")
        return self


class CentralLogsSettings(Model):
    """`observability:centralLogs`: a second log agent, which sends the lines to the Loki of a hub as well."""

    url: Annotated[Url, AfterValidator(_base)]
    """Address of the hub's gateway as this cluster reaches it, for example https://logs.hub.example.com."""
    username: Annotated[str, Field(pattern=r"^[^:\s]+$")] | None = None
    """The name of the cluster where it is not set: so the hub knows its senders."""
    password_secret: SecretKey
    ca_secret: SecretKey | None = None
    """Certificate (PEM) of the authority that signed the hub's, where the image of the agent does not know it."""
    keep_namespaces: list[Name] = []
    """Only pods of these namespaces; of all where it is empty."""
    drop_namespaces: list[Name] = []
    """No pods of these namespaces."""
    journal: bool = True
    """Send the systemd journal too, where `logAgent.journal` reads it."""
    events: bool = True
    """Send events of Kubernetes too, where `events.mode` is deploy; of objects in the same namespaces as the pods.

    Objects without a namespace, such as nodes, count as those of `default`, where their events are.
    """
    queue: CentralLogsQueue = CentralLogsQueue()
    resources: Resources = Resources(cpu="50m", memory="128Mi", memory_limit="256Mi")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.keep_namespaces and self.drop_namespaces:
            raise ValueError("keepNamespaces and dropNamespaces are both set; keep one of them")
        if self.ca_secret:
            needs_tls(self.url)
        return self


class LogSender(Model):
    """A cluster whose lines the gateway of the hub takes: it logs in by its name, and may push and nothing else."""

    cluster: Name
    """Name of the cluster; also the tenant of its lines, whatever tenant it asks for."""
    password_secret: SecretKey
