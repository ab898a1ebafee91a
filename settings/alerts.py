"""Tuning of alerts per stack."""

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from settings.base import Duration, Labels, Model, Url


class Disabled(Model):
    """An alert that a stack does not ship, why, and until when."""

    reason: Annotated[str, Field(min_length=10)]
    until: date

    @field_validator("until")
    @classmethod
    def _not_over(cls, value: date) -> date:
        if value < date.today():
            raise ValueError(f"{value} is over; remove the entry, or set a new date after looking at the reason again")
        return value


class AlertTuning(Model):
    """What a stack changes on one alert. Other keys are the alert's own values, marked `# tune` in its rule file."""

    model_config = ConfigDict(
        frozen=True, extra="allow", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )
    __pydantic_extra__: dict[str, str | int | float]

    for_: Annotated[Duration | None, Field(alias="for")] = None
    severity: Literal["critical", "warning", "info"] | None = None
    labels: Labels = {}
    disabled: Disabled | None = None

    @property
    def values(self) -> dict[str, str | int | float]:
        """Values by the name that the rule file gives them."""
        return dict(self.__pydantic_extra__ or {})


class AlertSettings(Model):
    """`observability:alerts`."""

    runbooks_url: Url = "https://github.com/example/observability/blob/main/runbooks"
    """Where the pages of runbooks/ can be read; every alert links there."""
    tune: dict[Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]+$")], AlertTuning] = {}
