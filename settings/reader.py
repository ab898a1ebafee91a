"""Reads the stack's configuration: the only place that knows `pulumi.Config`."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args

import pulumi
from pulumi.runtime.config import CONFIG, get_config, get_config_env
from pydantic import BaseModel, ValidationError

from settings import environment
from settings.alerts import AlertSettings
from settings.base import Model, Name
from settings.central_logs import CentralLogsSettings
from settings.certificates import are_certificates
from settings.cluster import ClusterSettings, NamespacesSettings
from settings.delivery import AlertmanagerSettings
from settings.exporters import ExportersSettings
from settings.gitops import ArgoCdSettings, FluxSettings
from settings.gpu import DcgmSettings
from settings.grafana import GrafanaSettings
from settings.log_agent import LogAgentSettings
from settings.logs import EventsSettings, LokiSettings
from settings.metrics import HubSettings, KubePrometheusStackSettings, PrometheusSettings
from settings.probes import BlackboxSettings
from settings.security import SecuritySettings
from settings.tunnel import CloudflareTunnelSettings

PROJECT = "observability"


class SettingsError(pulumi.RunError):
    """One or more mistakes in a stack file, worded for the person who wrote it."""


class Settings(Model):
    """Everything that a stack file says."""

    environment: Name | None = None
    """Name of a file of settings/environments, whose values lie beneath those of this file."""
    cluster: ClusterSettings
    namespaces: NamespacesSettings = NamespacesSettings()
    kube_prometheus_stack: KubePrometheusStackSettings = KubePrometheusStackSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    hub: HubSettings = HubSettings()
    grafana: GrafanaSettings = GrafanaSettings()
    loki: LokiSettings = LokiSettings()
    log_agent: LogAgentSettings = LogAgentSettings()
    central_logs: CentralLogsSettings | None = None
    events: EventsSettings = EventsSettings()
    alertmanager: AlertmanagerSettings
    blackbox: BlackboxSettings = BlackboxSettings()
    exporters: ExportersSettings = ExportersSettings()
    cloudflare_tunnel: CloudflareTunnelSettings = CloudflareTunnelSettings()
    dcgm: DcgmSettings = DcgmSettings()
    flux: FluxSettings = FluxSettings()
    argo_cd: ArgoCdSettings = ArgoCdSettings()
    alerts: AlertSettings = AlertSettings()
    security: SecuritySettings = SecuritySettings()


@dataclass(frozen=True)
class Loaded:
    """Settings, and the secrets that they name, as secret outputs by key."""

    settings: Settings
    secrets: Mapping[str, pulumi.Output[str]]


def load() -> Loaded:
    """Settings of the current stack.

    Raises SettingsError with every mistake of the stack file at once, or for a `caSecret` that is no certificate.
    """
    config = pulumi.Config(PROJECT)
    raw = _raw(config)
    file = f"Pulumi.{pulumi.get_stack()}.yaml"
    settings = parse(_without_secrets(raw), file, set(raw))
    _check_authorities(settings, config, file)
    return Loaded(settings, {key: config.require_secret(key) for key in secret_keys(settings)})


def _check_authorities(settings: Settings, config: pulumi.Config, file: str) -> None:
    # At once, not when the secret's value is used: an error there comes with tracebacks. The value is not told.
    for key in authority_keys(settings):
        text = get_config(config.full_key(key)) or ""
        # What `make render` puts in the place of a secret passes.
        if text != f"<secret {key}>" and not are_certificates(text):
            raise SettingsError(
                f"The stack file has mistakes:\n  {file}: {PROJECT}:{key} is no certificate (PEM), or holds more than "
                f"certificates; set it with: pulumi config set --secret {PROJECT}:{key} < ca.crt"
            )


def parse(
    sections: Mapping[str, Any], file: str, present: set[str] | None = None, *, check_secrets: bool = True
) -> Settings:
    """Settings from the plain sections of a stack file, by their camelCase names.

    `present` are all keys of the file, secrets among them; without `check_secrets` missing ones are no mistake.
    Raises SettingsError with every mistake at once.
    """
    known = {field.alias or name: name for name, field in Settings.model_fields.items()}
    mistakes: list[str] = []
    settings: Settings | None = None
    both = _Both(file, sections)
    try:
        settings = Settings.model_validate({key: value for key, value in both.merged.items() if key in known})
    except ValidationError as error:
        mistakes += [_say(both, detail) for detail in error.errors()]
    keys = present if present is not None else set(sections)
    wanted = set(secret_keys(settings)) if settings else keys - set(sections)
    for key in sorted((keys | set(both.shared)) - set(known) - wanted):
        where = both.origin([key]) if key in both.merged else file
        mistakes.append(f"{where}: {PROJECT}:{key} is not a known key{_nearest(key, [*known, *wanted])}")
    for key in sorted(wanted & set(known)):
        mistakes.append(
            f"{file}: {PROJECT}:{key} is a section and cannot be a secret too; give the secret another name"
        )
    for key in sorted(wanted - keys) if check_secrets else []:
        mistakes.append(f"{file}: {PROJECT}:{key} is missing; set it with: pulumi config set --secret {PROJECT}:{key}")
    if mistakes or settings is None:
        raise SettingsError("\n".join(["The stack file has mistakes:", *(f"  {mistake}" for mistake in mistakes)]))
    return settings


def secret_keys(model: BaseModel) -> list[str]:
    """Names of all secrets that the settings refer to, in order, each once."""
    return list(dict.fromkeys(_secret_keys(model)))


def authority_keys(model: BaseModel) -> list[str]:
    """Names of those secrets that have to be the certificate of an authority, each once."""
    return list(dict.fromkeys(_secret_keys(model, "ca_secret")))


def _secret_keys(value: object, fields: str = "_secret") -> Iterator[str]:
    # `fields`: how the names of the fields end.
    if isinstance(value, BaseModel):
        for name, item in value:
            if name.endswith(fields) and isinstance(item, str):
                yield item
            else:
                yield from _secret_keys(item, fields)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secret_keys(item, fields)
    elif isinstance(value, list):
        for item in value:
            yield from _secret_keys(item, fields)


def _raw(config: pulumi.Config) -> dict[str, Any]:
    prefix = f"{config.name}:"
    keys = {key.removeprefix(prefix) for key in {**get_config_env(), **CONFIG.get()} if key.startswith(prefix)}
    known = {field.alias or name for name, field in Settings.model_fields.items()}
    # Secrets are never read as plain values: only sections of the schema are. A name is a text, not JSON.
    return {key: _value(config, key) if key in known else None for key in sorted(keys)}


def _value(config: pulumi.Config, key: str) -> Any:
    return config.get(key) if key == "environment" else config.get_object(key)


def _without_secrets(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if value is not None}


class _Both:
    """A stack file and the shared defaults beneath it. Raises SettingsError where the defaults cannot be used."""

    def __init__(self, file: str, sections: Mapping[str, Any]) -> None:
        self.file, self._own = file, sections
        self.name = sections.get("environment")
        try:
            self.shared = environment.load(self.name) if self.name is not None else {}
        except ValueError as error:
            raise SettingsError(f"The stack file has mistakes:\n  {file}: {PROJECT}:environment: {error}") from None
        self.merged = environment.merge(self.shared, sections)

    def origin(self, path: Sequence[str | int]) -> str:
        return environment.origin(path, self.file, self._own, self.name, self.shared)


def _say(both: _Both, error: Any) -> str:
    path = _keys(both.merged, error["loc"])
    file = both.origin(path)
    where = f"{PROJECT}:" + ".".join(str(part) for part in path)
    message = error["msg"].removeprefix("Value error, ")
    match error["type"]:
        case "missing":
            return f"{file}: {where} is missing{_hint(path)}"
        case "extra_forbidden":
            return f"{file}: {where} is not a known key{_nearest(str(path[-1]), _siblings(path))}"
        case "union_tag_invalid":
            context = error["ctx"]
            tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
            key = context["discriminator"].strip("'")
            return f"{file}: {where}.{key}: {context['tag']!r} is not known{_nearest(context['tag'], tags)}"
        case "value_error" if isinstance(error["input"], str | int | float):
            return f"{file}: {where}: {error['input']!r} {message}"
        case "value_error":
            return f"{file}: {where}: {message}"
        case _:
            return f"{file}: {where}: {error['input']!r}: {message[0].lower()}{message[1:]}"


def _keys(sections: Mapping[str, Any], loc: tuple[str | int, ...]) -> list[str | int]:
    # pydantic adds the tags of unions to the path; only what stands in the file helps its author.
    value: Any = sections
    path: list[str | int] = []
    for position, part in enumerate(loc):
        inside = part in value if isinstance(value, Mapping) else isinstance(value, list) and isinstance(part, int)
        if inside:
            value = value[part]
        if inside or (position == len(loc) - 1 and part != "[key]"):
            path.append(part)
    return path


def _hint(path: list[str | int]) -> str:
    if path == ["alertmanager"]:
        return "; give it at least a heartbeat: {urlSecret: <key>, logsUrlSecret: <key>}, or heartbeat: none"
    if path[-1] == "heartbeat":
        return "; give urlSecret and logsUrlSecret, keys of two addresses of an outside heartbeat service, or say none"
    return "; add it"


def _siblings(path: list[str | int]) -> list[str]:
    model: Any = Settings
    for part in path[:-1]:
        field = next((f for n, f in model.model_fields.items() if part in {f.alias, n}), None)
        # A section that may be left out is a model or None.
        annotation = field.annotation if field else None
        choices = [choice for choice in get_args(annotation) if choice is not NoneType]
        model = choices[0] if len(choices) == 1 else annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _nearest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(known)}" if known else "; remove it"
