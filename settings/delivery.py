"""Alertmanager: who gets which alert."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from settings.base import Duration, Model, Name, Quantity, Resources, SecretKey, Url
from settings.channels import Channel
from settings.routing import Maintenance, Routes, Silence, Window


class Heartbeat(Model):
    """Where the always-firing Watchdogs go: an outside service that calls when one of them stops arriving.

    Two addresses: one beat alone would go on while the other half of the alerts is dead.
    """

    url_secret: SecretKey | None
    """Beat of Prometheus. None only where the stack file says `heartbeat: none`."""
    logs_url_secret: SecretKey | None
    """Beat of Loki's ruler."""

    @model_validator(mode="after")
    def _two_addresses(self) -> Self:
        if self.url_secret and self.url_secret == self.logs_url_secret:
            raise ValueError("urlSecret and logsUrlSecret are the same; one beat would hide that the other stopped")
        return self


class AlertmanagerSettings(Model):
    """`observability:alertmanager`."""

    replicas: Annotated[int, Field(ge=1, le=9)] = 1
    volume_size: Quantity = "5Gi"
    storage_class: str | None = None
    retention: Duration = "5d"
    external_url: Url | None = None
    """Where people reach Alertmanager's own page; the link to silence an alert leads there."""
    receivers: dict[Name, list[Channel]] = {}
    routes: Routes = Routes()
    quiet_hours: dict[Name, list[Window]] = {}
    """By receiver: when it is not told of warnings. Critical alerts and the digest always come."""
    maintenance: dict[Name, Maintenance] = {}
    silences: list[Silence] | None = None
    """None leaves Alertmanager's silences alone; a list, even an empty one, is what the stack keeps there."""
    heartbeat: Heartbeat
    """Required: say `none` if nothing outside watches this cluster."""
    resources: Resources = Resources(cpu="100m", memory="128Mi", cpu_limit="500m", memory_limit="512Mi")

    @field_validator("heartbeat", mode="before")
    @classmethod
    def _none_is_said(cls, value: object) -> object:
        if isinstance(value, str) and value != "none":
            raise ValueError("is neither none nor {urlSecret: <key>, logsUrlSecret: <key>}")
        return {"urlSecret": None, "logsUrlSecret": None} if value == "none" else value

    @model_validator(mode="after")
    def _routes_meet_receivers(self) -> Self:
        routed = set(self.routes.receivers())
        unknown, unused = sorted(routed - set(self.receivers)), sorted(set(self.receivers) - routed)
        if unknown:
            raise ValueError(f"routes lead to {', '.join(unknown)}, which is no receiver; add it or change the route")
        if unused:
            raise ValueError(f"no route leads to receiver {', '.join(unused)}; add a route or remove it")
        empty = sorted(name for name, channels in self.receivers.items() if not channels)
        if empty:
            raise ValueError(f"receiver {', '.join(empty)} has no channel; give it at least one")
        strangers = sorted(set(self.quiet_hours) - set(self.receivers))
        if strangers:
            raise ValueError(f"quietHours names {', '.join(strangers)}, which is no receiver; use a receiver's name")
        taken = sorted({"nobody", "heartbeat", "heartbeat-logs"} & set(self.receivers))
        if taken:
            raise ValueError(f"receiver {', '.join(taken)} has a name that is used already; choose another one")
        if self.replicas == 2:
            raise ValueError("replicas 2 protects no better than 3 and splits in halves; use 1 or 3")
        return self
