"""The blackbox exporter's modules, and the spec of a Probe object."""

import re
from typing import Any
from urllib.parse import urlsplit

from components import addresses
from components.tuning import parse_value
from settings import Settings, SettingsError
from settings.probes import (
    DNS_PREFIX,
    JOBS,
    SOA_PREFIX,
    BlackboxSettings,
    DnsModule,
    GrpcModule,
    HttpModule,
    Probe,
    Target,
)

SLOW = "EndpointResponseTimeHigh"
CREDENTIALS = f"{addresses.BLACKBOX}-credentials"
CREDENTIALS_FOLDER = "/etc/blackbox_exporter_credentials"

# Status codes of a site that answers by TLS, whatever it thinks of an anonymous visitor.
ANY_ANSWER = [200, 204, 301, 302, 307, 308, 401, 403, 404]
IP4: dict[str, Any] = {"preferred_ip_protocol": "ip4", "ip_protocol_fallback": True}
# Verification is off on purpose: with it an expired certificate ends the handshake, and its series vanishes.
UNVERIFIED = {"tls_config": {"insecure_skip_verify": True}}


def config(settings: BlackboxSettings) -> dict[str, Any]:
    """Content of the exporter's configuration file; `blackbox_exporter --config.check` accepts every result.

    Credentials are read from files of the Secret `CREDENTIALS`, never from this text.
    """
    modules: dict[str, dict[str, Any]] = {
        "http_2xx": {"prober": "http", "http": IP4},
        "http_2xx_no_redirect": {"prober": "http", "http": {**IP4, "follow_redirects": False}},
        "http_ssl": {
            "prober": "http",
            "http": {**IP4, "fail_if_not_ssl": True, "valid_status_codes": ANY_ANSWER, **UNVERIFIED},
        },
        "tcp_connect": {"prober": "tcp", "tcp": IP4},
        "tcp_tls": {"prober": "tcp", "tcp": {**IP4, "tls": True, **UNVERIFIED}},
        "icmp": {"prober": "icmp", "icmp": IP4},
        "grpc": {"prober": "grpc", "grpc": IP4},
    }
    for key, name in settings.dns_zones.items():
        modules[f"{DNS_PREFIX}{key}"] = _dns(DnsModule(kind="dns", query=name))
        # The owner of the record must be the zone itself: for a name inside another zone a server tells of that one.
        zone = rf"(?i)^{re.escape(name.rstrip('.'))}\.\s"
        modules[f"{SOA_PREFIX}{key}"] = _dns(DnsModule(kind="dns", query=name, type="SOA", answer=zone))
    for name, module in settings.modules.items():
        match module:
            case HttpModule():
                modules[name] = _http(module)
            case DnsModule():
                modules[name] = _dns(module)
            case GrpcModule():
                verify = {} if module.verify_certificate else UNVERIFIED
                grpc = {**IP4, "service": module.service} | ({"tls": True, **verify} if module.tls else {})
                modules[name] = {"prober": "grpc", "grpc": grpc}
    timeouts = {name: f"{timeout}s" for name, (_, timeout) in settings.known_modules.items()}
    return {"modules": {name: {"timeout": timeouts[name], **module} for name, module in modules.items()}}


def _dns(module: DnsModule) -> dict[str, Any]:
    dns: dict[str, Any] = {**IP4, "query_name": module.query, "query_type": module.type}
    if module.answer:
        dns["validate_answer_rrs"] = {"fail_if_none_matches_regexp": [module.answer]}
    return {"prober": "dns", "dns": dns}


def _http(module: HttpModule) -> dict[str, Any]:
    http: dict[str, Any] = {**IP4, "method": module.method, "follow_redirects": module.follow_redirects}
    optional: dict[str, Any] = {
        "valid_status_codes": module.valid_status_codes,
        "headers": module.headers,
        "fail_if_body_not_matches_regexp": [module.body] if module.body else None,
        "fail_if_body_matches_regexp": [module.body_without] if module.body_without else None,
        "basic_auth": {"username": module.username, "password_file": f"{CREDENTIALS_FOLDER}/{module.password_secret}"}
        if module.username
        else None,
        "authorization": {"type": "Bearer", "credentials_file": f"{CREDENTIALS_FOLDER}/{module.token_secret}"}
        if module.token_secret
        else None,
    }
    verify = {} if module.verify_certificate else UNVERIFIED
    return {"prober": "http", "http": {**http, **{key: value for key, value in optional.items() if value}, **verify}}


def own_probes(settings: Settings) -> dict[str, Probe]:
    """Probes of the stack's own services."""
    paths = {
        "prometheus": "/-/ready",
        "alertmanager": "/-/ready",
        "loki": "/ready",
        "grafana": "/api/health",
        "blackbox": "/-/healthy",
    }
    urls = addresses.addresses(settings)
    targets = [Target(service=name, address=f"{url}{paths[name]}") for name, url in urls.items()]
    return {"observability": Probe(module="http_2xx", targets=targets)}


def username_key(name: str) -> str:
    """Key of the user of the prober of the probe `name` in the Secret `CREDENTIALS`."""
    return f"{name}-prober-username"


def probe_spec(name: str, probe: Probe, target: Target, settings: Settings) -> dict[str, Any]:
    """Spec of the Probe object of one target. The scrape waits a second longer than the module."""
    kind, timeout = settings.blackbox.known_modules[probe.module]
    own = addresses.service(addresses.BLACKBOX, settings.namespaces.main, addresses.BLACKBOX_PORT)
    prober = urlsplit(probe.prober or own)
    labels = {
        "service": target.service,
        # One address may be asked several things: a resolver for each of its zones.
        "module": probe.module,
        **({"team": target.team} if target.team else {}),
        **({"priority": target.priority} if target.priority else {}),
        # The same address seen from two places must not give the same series.
        **({"prober": prober.netloc} if probe.prober else {}),
        **target.labels,
    }
    spec: dict[str, Any] = {
        "jobName": JOBS[kind],
        "prober": {"url": prober.netloc, "scheme": prober.scheme, "path": f"{prober.path}/probe"},
        "module": probe.module,
        "interval": probe.interval,
        "scrapeTimeout": f"{timeout + 1}s",
        "targets": {"staticConfig": {"static": [target.address], "labels": labels}},
    }
    if probe.prober_username:
        spec["basicAuth"] = {
            "username": {"name": CREDENTIALS, "key": username_key(name)},
            "password": {"name": CREDENTIALS, "key": probe.prober_password_secret},
        }
    return spec


def check_slow(settings: Settings) -> None:
    """Raises SettingsError where EndpointResponseTimeHigh is tuned to more than any HTTP probe waits."""
    tuned = settings.alerts.tune.get(SLOW)
    if tuned is None or "threshold" not in tuned.values:
        return
    longest = max(timeout for kind, timeout in settings.blackbox.known_modules.values() if kind == "http")
    if parse_value(tuned.values["threshold"], "seconds") >= longest:
        raise SettingsError(
            f"observability:alerts.tune.{SLOW}.threshold: {tuned.values['threshold']} is not below the longest timeout "
            f"of an HTTP probe ({longest}s), so the alert could never fire; lower it"
        )
