"""Exporters of applications that rules need: deployed by us, or those that are there already."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.base import HostPort, Model, Name, Resources

SecretName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
KeyName = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]{1,253}$")]
"""A key of a Secret."""
JobName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9_./]{0,127}$")]


class Credentials(Model):
    """A Secret that exists in the stack's main namespace. Its values never pass through the stack."""

    name: SecretName
    username_key: KeyName = "username"
    password_key: KeyName = "password"  # noqa: S105 (a key's name)

    @model_validator(mode="after")
    def _two_keys(self) -> Self:
        if self.username_key == self.password_key:
            raise ValueError(f"usernameKey and passwordKey are both {self.password_key}; each is a key of its own")
        return self


class Database(Model):
    """One PostgreSQL server."""

    address: HostPort
    database: Annotated[str, Field(min_length=1, max_length=63)] = "postgres"
    tls: Literal["disable", "require", "verify-full"] = "require"
    """As libpq's `sslmode`; `disable` for a server without TLS inside the cluster."""
    credentials: Credentials
    """A user with the role `pg_monitor`; for TeslaMate one that may read its tables."""


class Broker(Model):
    """One Mosquitto."""

    address: HostPort
    credentials: Credentials | None = None
    """A user that may read `$SYS/#`; none where the broker lets anybody in."""


class Exporter(Model):
    """What all of them have."""

    mode: Literal["deploy", "existing", "off"] = "off"
    """`deploy`: we run it. `existing`: one is scraped already, as the job `job`. `off`: its rules are left out."""
    job: JobName | None = None
    """With `existing`: the `job` label of its series."""
    resources: Resources = Resources(cpu="10m", memory="32Mi", memory_limit="128Mi")

    @model_validator(mode="after")
    def _job_where_it_exists(self) -> Self:
        if (self.mode == "existing") != (self.job is not None):
            raise ValueError("job names what is there already: give it with mode existing, and only there")
        return self


class PostgresqlExporter(Exporter):
    """postgres_exporter, one for each server."""

    servers: dict[Name, Database] = {}

    @model_validator(mode="after")
    def _something_to_export(self) -> Self:
        if (self.mode == "deploy") != bool(self.servers):
            raise ValueError("servers are what the exporter reads: give them with mode deploy, and only there")
        return self


class MosquittoExporter(Exporter):
    """mosquitto-exporter, one for each broker."""

    brokers: dict[Name, Broker] = {}

    @model_validator(mode="after")
    def _something_to_export(self) -> Self:
        if (self.mode == "deploy") != bool(self.brokers):
            raise ValueError("brokers are what the exporter reads: give them with mode deploy, and only there")
        return self


class TeslamateExporter(Exporter):
    """sql_exporter with a query for the newest position of each car in TeslaMate's database."""

    server: Database | None = None

    @model_validator(mode="after")
    def _something_to_export(self) -> Self:
        if (self.mode == "deploy") != (self.server is not None):
            raise ValueError("server is what the exporter reads: give it with mode deploy, and only there")
        return self


class ExportersSettings(Model):
    """`observability:exporters`."""

    postgresql: PostgresqlExporter = PostgresqlExporter()
    mosquitto: MosquittoExporter = MosquittoExporter()
    teslamate: TeslamateExporter = TeslamateExporter()

    def jobs(self) -> dict[str, str]:
        """For each exporter that is there already: our name of it, which rules use, and its real `job`."""
        return {name: one.job for name, one in self.by_name().items() if one.job}

    def by_name(self) -> dict[str, Exporter]:
        """Settings of each exporter, by the name that rule groups and jobs use."""
        return {POSTGRES: self.postgresql, MOSQUITTO: self.mosquitto, SQL: self.teslamate}


POSTGRES, MOSQUITTO, SQL = "postgres-exporter", "mosquitto-exporter", "sql-exporter"
