"""Blackbox exporter and what it probes."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from settings.base import Duration, Labels, Model, Name, Resources, Url, seconds

MODULES = {
    "http_2xx": ("blackbox-http", 10),
    "http_2xx_no_redirect": ("blackbox-noredirect", 10),
    "http_ssl": ("blackbox-ssl", 10),
    "tcp_connect": ("blackbox-tcp", 5),
    "icmp": ("blackbox-icmp", 5),
    "grpc": ("blackbox-grpc", 5),
}
"""Built-in modules: the `job` of their series and their timeout in seconds."""
DNS_PREFIX = "dns_"
DNS_JOB, DNS_TIMEOUT = "blackbox-dns", 5


class Target(Model):
    """One thing to probe. `service` names it in alerts and dashboards."""

    service: Name
    address: Annotated[str, Field(min_length=3)]
    labels: Labels = {}


class Probe(Model):
    """Targets that are probed alike."""

    module: str
    interval: Duration = "30s"
    targets: Annotated[list[Target], Field(min_length=1)]
    prober: Url | None = None
    """Another blackbox exporter, for probing from outside the cluster."""


class BlackboxSettings(Model):
    """`observability:blackbox`."""

    dns_zones: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], str] = {}
    """A module `dns_<key>` is made for each: it asks for the A record of the name."""
    probes: dict[Name, Probe] = {}
    resources: Resources = Resources(cpu="20m", memory="32Mi", memory_limit="128Mi")

    @model_validator(mode="after")
    def _known_modules(self) -> Self:
        known = {*MODULES, *(f"{DNS_PREFIX}{zone}" for zone in self.dns_zones)}
        for name, probe in self.probes.items():
            if probe.module not in known:
                raise ValueError(
                    f"probes.{name}.module {probe.module} does not exist; use one of {', '.join(sorted(known))}"
                )
            timeout = module_timeout(probe.module)
            if seconds(probe.interval) <= timeout:
                raise ValueError(
                    f"probes.{name}.interval {probe.interval} is not above the timeout of {probe.module} ({timeout}s)"
                )
            web = probe.module.startswith("http_")
            for target in probe.targets:
                if web != target.address.startswith(("http://", "https://")):
                    wanted = "a URL" if web else "host, host:port or resolver, not a URL"
                    raise ValueError(f"probes.{name}: {target.address} does not suit {probe.module}; give {wanted}")
        return self


def module_timeout(module: str) -> int:
    """Timeout of a module in seconds."""
    return MODULES[module][1] if module in MODULES else DNS_TIMEOUT


def module_job(module: str) -> str:
    """Value of the `job` label on the series of a module's probes."""
    return MODULES[module][0] if module in MODULES else DNS_JOB
