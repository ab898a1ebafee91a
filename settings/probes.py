"""Blackbox exporter and what it probes."""

import re
from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from settings.base import Duration, Labels, Model, Name, Resources, SecretKey, Url, seconds
from settings.probe_address import ProbeAddress

JOBS = {kind: f"blackbox-{kind}" for kind in ("http", "noredirect", "ssl", "tcp", "dns", "icmp", "grpc")}
"""The `job` of the series of each kind of probe. Rules tell kinds apart by it."""
MODULES = {
    "http_2xx": ("http", 10),
    "http_2xx_no_redirect": ("noredirect", 10),
    "http_ssl": ("ssl", 10),
    "tcp_connect": ("tcp", 5),
    "tcp_tls": ("tcp", 5),
    "icmp": ("icmp", 5),
    "grpc": ("grpc", 5),
}
"""Built-in modules: their kind and their timeout in seconds."""
DNS_PREFIX, SOA_PREFIX, DNS_TIMEOUT = "dns_", "soa_", 5
LONGEST_INTERVAL = 120
"""Seconds. A sample is too old for a query after 5 minutes: two probes must fit in, one of them lost."""
OWN_LABELS = ("cluster", "job", "instance", "service", "team", "priority", "module", "prober")
Priority = Literal["critical", "high", "medium", "low"]


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


Regex = Annotated[str, Field(min_length=1), AfterValidator(_regex)]
ModuleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]


class HttpModule(Model):
    """An HTTP probe of your own: with a login, for a text on the page, for other status codes."""

    kind: Literal["http"]
    timeout: Duration = "10s"
    method: Literal["GET", "HEAD", "POST"] = "GET"
    valid_status_codes: list[Annotated[int, Field(ge=100, le=599)]] = []
    """Any 2xx where it is empty."""
    follow_redirects: bool = True
    body: Regex | None = None
    """Regular expression that the page must match."""
    body_without: Regex | None = None
    """Regular expression that the page must not match."""
    username: str | None = None
    """User of basic authentication, with `passwordSecret`."""
    password_secret: SecretKey | None = None
    token_secret: SecretKey | None = None
    """Bearer token, in place of user and password."""
    headers: dict[str, str] = {}
    verify_certificate: bool = True

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if (self.username is None) != (self.password_secret is None):
            raise ValueError("a login needs both username and passwordSecret; add the other one")
        if self.username and self.token_secret:
            raise ValueError("has a password and a token; keep one of them")
        if secret := [name for name in self.headers if name.lower() in {"authorization", "cookie"}]:
            raise ValueError(f"headers.{secret[0]} is a credential in plain text; use passwordSecret or tokenSecret")
        return self


class DnsModule(Model):
    """A DNS probe of your own: any record of any name, and what the answer must be."""

    kind: Literal["dns"]
    timeout: Duration = "5s"
    query: str
    type: Literal["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT"] = "A"
    answer: Regex | None = None
    """Regular expression that a record of the answer must match, as `dig` writes records, with tabs between fields."""


class GrpcModule(Model):
    """A gRPC health check of your own: of one service, or with TLS."""

    kind: Literal["grpc"]
    timeout: Duration = "5s"
    service: str = ""
    """Name that the health service knows; the whole server where it is empty."""
    tls: bool = False
    verify_certificate: bool = True


class Target(Model):
    """One thing to probe."""

    service: Name
    """Names it in alerts and dashboards."""
    address: ProbeAddress
    team: Name | None = None
    """Who is told when its probes fail; the alert's own team where it is not set."""
    priority: Priority | None = None
    """A label of its series and alerts, for people and for receivers that sort by it."""
    labels: Labels = {}

    @model_validator(mode="after")
    def _not_our_labels(self) -> Self:
        if taken := [name for name in self.labels if name in OWN_LABELS]:
            raise ValueError(f"labels sets {taken[0]}, which the stack sets itself; leave it out")
        return self


class Probe(Model):
    """Targets that are probed alike."""

    module: str
    interval: Duration = "30s"
    targets: Annotated[list[Target], Field(min_length=1)]
    prober: Url | None = None
    """Another blackbox exporter, for probing from outside the cluster. It must have the module."""
    prober_username: str | None = None
    """User of that exporter's basic authentication, with `proberPasswordSecret`."""
    prober_password_secret: SecretKey | None = None

    @model_validator(mode="after")
    def _login_of_a_prober(self) -> Self:
        if (self.prober_username is None) != (self.prober_password_secret is None):
            raise ValueError("a login needs both proberUsername and proberPasswordSecret; add the other one")
        if self.prober_username and not self.prober:
            raise ValueError("proberUsername is set without a prober; the stack's own exporter asks for none")
        return self


class BlackboxSettings(Model):
    """`observability:blackbox`."""

    dns_zones: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], str] = {}
    """Two modules are made for each: `dns_<key>` asks for the A record of the name, `soa_<key>` for the SOA record of
    the zone of that name."""
    modules: dict[ModuleName, Annotated[HttpModule | DnsModule | GrpcModule, Field(discriminator="kind")]] = {}
    """Modules beside the built-in ones, by name."""
    probes: dict[Name, Probe] = {}
    resources: Resources = Resources(cpu="20m", memory="32Mi", memory_limit="128Mi")

    @property
    def known_modules(self) -> dict[str, tuple[str, int]]:
        """Kind and timeout in seconds of every module, by its name."""
        zones = {
            f"{prefix}{key}": ("dns", DNS_TIMEOUT) for prefix in (DNS_PREFIX, SOA_PREFIX) for key in self.dns_zones
        }
        own = {name: (module.kind, seconds(module.timeout)) for name, module in self.modules.items()}
        return {**MODULES, **zones, **own}

    def _zone_modules(self) -> list[str]:
        return [f"{prefix}{key}" for prefix in (DNS_PREFIX, SOA_PREFIX) for key in self.dns_zones]

    @model_validator(mode="after")
    def _new_names(self) -> Self:
        for name in self.modules:
            if name in MODULES or name in self._zone_modules():
                raise ValueError(f"modules.{name}: the stack has a module of this name; choose another")
        return self

    @model_validator(mode="after")
    def _probes_fit_their_modules(self) -> Self:
        known = self.known_modules
        for name, probe in self.probes.items():
            if probe.module not in known:
                raise ValueError(
                    f"probes.{name}.module {probe.module} does not exist; use one of {', '.join(sorted(known))}"
                )
            kind, timeout = known[probe.module]
            interval = seconds(probe.interval)
            if interval <= timeout:
                raise ValueError(
                    f"probes.{name}.interval {probe.interval} is not above the timeout of {probe.module} ({timeout}s)"
                )
            if interval > LONGEST_INTERVAL:
                raise ValueError(
                    f"probes.{name}.interval {probe.interval} is above 2m: alerts would end between two probes; "
                    "use at most 2m"
                )
            web = kind in {"http", "noredirect", "ssl"}
            for target in probe.targets:
                if web != target.address.startswith(("http://", "https://")):
                    wanted = "a URL" if web else "host, host:port or resolver, not a URL"
                    raise ValueError(f"probes.{name}: {target.address} does not suit {probe.module}; give {wanted}")
                if kind in {"tcp", "grpc"} and not re.search(r":\d{1,5}$", target.address):
                    raise ValueError(f"probes.{name}: {target.address} has no port; give host:port")
        return self

    @model_validator(mode="after")
    def _series_differ(self) -> Self:
        seen = Counter(
            (probe.module, target.address, probe.prober) for probe in self.probes.values() for target in probe.targets
        )
        for (module, address, _), times in seen.items():
            if times > 1:
                raise ValueError(
                    f"probes: {address} is probed {times} times by {module} from one place; their series would be the "
                    "same, keep one of them"
                )
        return self


def module_job(module: str) -> str:
    """Value of the `job` label on the series of a built-in module's probes, or of one that a DNS zone makes."""
    return JOBS[MODULES[module][0]] if module in MODULES else JOBS["dns"]
