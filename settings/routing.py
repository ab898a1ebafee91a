"""Who gets which alert, when nobody is told, and what is silenced on purpose."""

import re
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from settings.base import Model, Name

Team = Literal["platform", "apps", "storage", "network", "gpu"]
"""Values of the `team` label in the rule files."""
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NamespacePattern = Annotated[str, Field(pattern=r"^[a-z0-9*]([-a-z0-9*]{0,61}[a-z0-9*])?$")]
"""Name of a namespace; `*` stands for any characters."""
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
MAX_SILENCE = timedelta(days=90)
_MATCHER = re.compile(r'^([a-zA-Z_][a-zA-Z0-9_]*)(=~|!~|!=|=)"?([^"]*)"?$')


def _timezone(value: str) -> str:
    known = zoneinfo.available_timezones()
    if value != "UTC" and known and value not in known:
        raise ValueError("is not a time zone; write for example UTC or Europe/Berlin")
    return value


class Urgent(Model):
    """Receivers of what cannot wait for a digest. What is left out goes the usual way."""

    critical: Name | None = None
    warning: Name | None = None


class Routes(Urgent):
    """Receiver by severity; None means to nobody. The most special entry wins: namespace, component, team, severity."""

    info: Name | None = None
    """Gets one message a day."""
    gpu: Name | None = None
    """Gets critical and warning alerts of GPUs as well."""
    namespaces: dict[NamespacePattern, Urgent] = {}
    components: dict[Name, Urgent] = {}
    teams: dict[Team, Urgent] = {}

    def receivers(self) -> list[str]:
        """Every receiver that a route leads to, each once."""
        special = [*self.namespaces.values(), *self.components.values(), *self.teams.values()]
        named = [self.critical, self.warning, self.info, self.gpu]
        named += [name for urgent in special for name in (urgent.critical, urgent.warning)]
        return list(dict.fromkeys(name for name in named if name))


class Window(Model):
    """A time of the day that comes back. It goes over midnight where `end` is not after `start`."""

    start: Clock
    end: Clock
    weekdays: list[Weekday] = []
    """Days on which it starts; every day where it is empty."""
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"


class Maintenance(Model):
    """A time in which alerts are expected: nobody is told, what still fires afterwards is."""

    reason: Annotated[str, Field(min_length=10)]
    windows: Annotated[list[Window], Field(min_length=1)]
    namespace: NamespacePattern | None = None
    component: Name | None = None
    team: Team | None = None
    """Only alerts that meet all that is given; all alerts where nothing is."""


class Silence(Model):
    """Alerts that are muted on purpose until a date."""

    matchers: Annotated[list[str], Field(min_length=1)]
    """As Alertmanager writes them: `alertname=PodCrashLooping`, `namespace=~pay.*`."""
    reason: Annotated[str, Field(min_length=10)]
    author: Annotated[str, Field(min_length=2)]
    until: date | datetime
    """A day (its end, UTC) or a point in time, at most 90 days away."""
    since: date | datetime | None = None
    """A later begin, for planned work."""

    @field_validator("matchers")
    @classmethod
    def _readable(cls, value: list[str]) -> list[str]:
        for matcher in value:
            if not _MATCHER.match(matcher):
                raise ValueError(f"holds {matcher!r}, which is no matcher; write for example namespace=shop")
        if not any(parts[1] == "=" and parts[2] for parts in map(split_matcher, value)):
            raise ValueError("names nothing by `=`; such a silence could mute everything, add for example alertname=X")
        if any(split_matcher(matcher)[2].endswith("Watchdog") for matcher in value):
            raise ValueError("mutes a Watchdog; whoever watches the heartbeat would be called")
        return value

    @field_validator("until")
    @classmethod
    def _soon(cls, value: date | datetime) -> date | datetime:
        if moment(value, end=True) > datetime.now(UTC) + MAX_SILENCE + timedelta(days=1):
            raise ValueError(f"{value} is more than 90 days away; what lasts longer is changed in the rules or tuned")
        return value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.starts and self.starts >= self.ends:
            raise ValueError(f"since {self.since} is not before until {self.until}")
        return self

    @property
    def ends(self) -> datetime:
        """When it ends."""
        return moment(self.until, end=True)

    @property
    def starts(self) -> datetime | None:
        """When it begins; None for at once."""
        return moment(self.since, end=False) if self.since else None

    @property
    def expired(self) -> bool:
        """Whether its end has passed."""
        return self.ends <= datetime.now(UTC)


def split_matcher(matcher: str) -> tuple[str, str, str]:
    """Label, operator and value of a matcher; ValueError where it is none."""
    match = _MATCHER.match(matcher)
    if match is None:
        raise ValueError(f"{matcher!r} is no matcher")
    return match[1], match[2], match[3]


def moment(value: date | datetime, *, end: bool) -> datetime:
    """A point in time: a day's first or last second in UTC."""
    if not isinstance(value, datetime):
        value = datetime.combine(value, time(23, 59, 59) if end else time(), UTC)
    return value if value.tzinfo else value.replace(tzinfo=UTC)
