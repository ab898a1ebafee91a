"""What all settings models share: strict frozen models and the small typed strings of the Kubernetes world."""

import re
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A frozen model with camelCase keys that refuses unknown ones."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _partial_resources(cls, value: Any) -> Any:
        # `resources: {memory: 2Gi}` changes the memory and keeps the component's own default for the rest.
        default = cls.model_fields["resources"].default if "resources" in cls.model_fields else None
        if isinstance(value, dict) and isinstance(default, Resources) and isinstance(value.get("resources"), dict):
            return {**value, "resources": {**default.model_dump(by_alias=True), **value["resources"]}}
        return value


_DURATION = re.compile(r"^(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
_DURATION_UNITS = (604800, 86400, 3600, 60, 1)
_QUANTITY = re.compile(r"^(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")
_QUANTITY_UNITS = {
    "": 1.0,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}


def seconds(duration: str) -> int:
    """Seconds of a Prometheus duration such as `30s`, `1h30m` or `10d`; ValueError if it is none."""
    match = _DURATION.match(duration)
    if not duration or match is None:
        raise ValueError("is not a duration; write for example 30s, 15m or 10d")
    return sum(int(part) * unit for part, unit in zip(match.groups(), _DURATION_UNITS, strict=True) if part)


def amount(quantity: str) -> float:
    """Plain number of a Kubernetes quantity such as `250m`, `512Mi` or `10Gi`; ValueError if it is none."""
    match = _QUANTITY.match(quantity)
    if match is None:
        raise ValueError("is not a quantity; write for example 250m, 512Mi or 10Gi")
    return float(match.group(1)) * _QUANTITY_UNITS[match.group(2) or ""]


def _duration(value: str) -> str:
    if seconds(value) == 0:
        raise ValueError("is zero; write for example 30s, 15m or 10d")
    return value


def _quantity(value: str) -> str:
    if amount(value) <= 0:
        raise ValueError("is zero; write for example 250m, 512Mi or 10Gi")
    return value


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(c.isspace() for c in value):
        raise ValueError("is not a URL; write for example https://grafana.example.com")
    if parts.username or parts.password:
        raise ValueError("carries credentials; put them into a secret key of the stack instead")
    # HTTPS:// means the same as https://, which others look for; urlsplit has written it small.
    return f"{parts.scheme}:{value.partition(':')[2]}".rstrip("/")


def _host_port(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("is not host:port; write for example smtp.example.com:587")
    return value


def re2(value: str) -> str:
    """The expression; ValueError if Go's `regexp`, which all daemons here use, would not read it."""
    # Python's syntax has all of RE2's but flags in the middle; what RE2 lacks is refused by name.
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    if re.search(r"\(\?(?:=|!|<=|<!)|\\[1-9]", value):
        raise ValueError("looks ahead, behind or back, which RE2 cannot; write it without")
    return value


def _text(value: Any) -> Any:
    # YAML reads `cpu: 1` as a number; as a quantity it means the same.
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def needs_tls(url: str) -> None:
    """Raises ValueError where a certificate's authority is named for an address without TLS."""
    if not url.startswith("https://"):
        raise ValueError(f"caSecret is set, but {url} is not encrypted; write https:// or leave caSecret out")


Duration = Annotated[str, AfterValidator(_duration)]
Quantity = Annotated[str, BeforeValidator(_text), AfterValidator(_quantity)]
Url = Annotated[str, AfterValidator(_url)]
HostPort = Annotated[str, AfterValidator(_host_port)]
Regex = Annotated[str, Field(min_length=1), AfterValidator(re2)]
"""A regular expression of RE2, as Go's `regexp` reads it."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$")]
"""A DNS label of at most 40 characters, so that object names made from it stay below 63."""
SecretKey = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$", json_schema_extra={"secret": True})]
"""Name of a top-level secret of the stack file, set with `pulumi config set --secret observability:<key>`."""
Labels = dict[
    Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")],
    Annotated[str, Field(min_length=1, max_length=128)],
]
"""Prometheus labels: names without dots or dashes."""


class Resources(Model):
    """Requests and limits of a container. A CPU limit is optional: it throttles where a request would do."""

    cpu: Quantity
    memory: Quantity
    cpu_limit: Quantity | None = None
    memory_limit: Quantity

    @model_validator(mode="after")
    def _limits_above_requests(self) -> Self:
        if amount(self.memory_limit) < amount(self.memory):
            raise ValueError(f"memoryLimit {self.memory_limit} is below the request {self.memory}; raise the limit")
        if self.cpu_limit and amount(self.cpu_limit) < amount(self.cpu):
            raise ValueError(f"cpuLimit {self.cpu_limit} is below the request {self.cpu}; raise the limit")
        return self

    def manifest(self) -> dict[str, dict[str, str]]:
        """The `resources` of a container."""
        limits = {"memory": self.memory_limit} | ({"cpu": self.cpu_limit} if self.cpu_limit else {})
        return {"requests": {"cpu": self.cpu, "memory": self.memory}, "limits": limits}
