"""Every state that is tried: module, address, whether the probe succeeds, and the alerts that fire."""

from dataclasses import dataclass
from typing import Any

from tests.live.probes.servers import USER

DOWN = ("EndpointAvailabilityLow", "EndpointDown", "ServiceEndpointDown")
BAD_STATUS = (*DOWN, "EndpointUnexpectedStatus")


@dataclass(frozen=True)
class State:
    """One server in one state. `{name}` in the address is that of a local server."""

    module: str
    what: str
    address: str
    success: bool
    alerts: tuple[str, ...] = ()
    outside: bool = False
    """Whether a prober outside the cluster probes it."""
    isolated: bool = False
    """Whether the prober runs in a network of its own, without any capability."""
    closed: bool = False
    """Whether that network lets nobody ping."""


MODULES: dict[str, dict[str, Any]] = {
    "http_login": {"kind": "http", "username": USER, "passwordSecret": "probePassword"},
    "http_wrong_login": {"kind": "http", "username": USER, "passwordSecret": "wrongPassword"},
    "http_token": {"kind": "http", "tokenSecret": "probeToken"},
    "http_welcome": {"kind": "http", "body": "Welcome", "bodyWithout": "maintenance"},
    "http_wants_401": {"kind": "http", "validStatusCodes": [401]},
    "http_impatient": {"kind": "http", "timeout": "1s"},
    "dns_primary": {"kind": "dns", "query": "moved.test", "type": "SOA", "answer": r"\tns1\.moved\.test\."},
    "grpc_shop": {"kind": "grpc", "service": "shop"},
    "grpc_stopped": {"kind": "grpc", "service": "stopped"},
    "grpc_unknown": {"kind": "grpc", "service": "unknown"},
}
ZONES = {
    "good": "good.test",
    "inside": "www.good.test",
    "missing": "nothing.good.test",
    "broken": "broken.test",
    "foreign": "example.com",
}
SECRETS = {"probePassword": "right", "wrongPassword": "wrong", "probeToken": "let-me-in"}

STATES = (
    State("http_2xx", "answers 200", "http://{http}/ok", True),
    State("http_2xx", "redirects to a page that answers", "http://{http}/moved", True),
    State("http_2xx", "answers 503", "http://{http}/broken", False, BAD_STATUS),
    State("http_2xx", "wants a login", "http://{http}/private", False, BAD_STATUS),
    State("http_2xx", "nobody listens", "http://{refused}/", False, DOWN),
    State("http_2xx", "no such name", "http://nothing.invalid/", False, DOWN),
    State("http_2xx", "answers after 4 s", "http://{http}/slow", True, ("EndpointResponseTimeHigh",)),
    State("http_2xx", "good certificate", "https://{https}/ok", True),
    State("http_2xx", "expired certificate", "https://{old}/ok", False, DOWN),
    State("http_impatient", "never answers: timeout", "http://{http}/hang", False, DOWN),
    State("http_2xx_no_redirect", "answers 200", "http://{http}/ok", True),
    State("http_2xx_no_redirect", "redirects to the login", "http://{http}/login", False, ("GrafanaLoginRedirect",)),
    State(
        "http_2xx_no_redirect",
        "answers 503",
        "http://{http}/broken",
        False,
        ("EndpointDown", "EndpointUnexpectedStatus"),
    ),
    State("http_login", "right password", "http://{http}/private", True),
    State("http_wrong_login", "wrong password", "http://{http}/private", False, BAD_STATUS),
    State("http_token", "right token", "http://{http}/private", True),
    State("http_welcome", "the page has the text", "http://{http}/ok", True),
    State("http_welcome", "the page has another text", "http://{http}/maintenance", False, DOWN),
    State("http_wants_401", "answers the wanted 401", "http://{http}/private", True),
    State("http_wants_401", "answers 200 without login", "http://{http}/ok", False, DOWN),
    State("http_2xx", "answers, seen from outside", "http://{http}/ok", True, outside=True),
    State("http_2xx", "503, seen from outside", "http://{http}/broken", False, BAD_STATUS, outside=True),
    State("http_ssl", "good certificate", "https://{https}/ok", True),
    State("http_ssl", "certificate ends in 3 days", "https://{soon}/ok", True, ("SSLCertificateExpiringSoon",)),
    State("http_ssl", "certificate ended 3 days ago", "https://{old}/ok", True, ("SSLCertificateExpired",)),
    State("http_ssl", "wants a login", "https://{https}/private", True),
    State("http_ssl", "answers 503", "https://{https}/broken", False, ("CertificateProbeFailing",)),
    State("http_ssl", "nobody listens", "https://{refused}/", False, ("CertificateProbeFailing",)),
    State("http_ssl", "speaks no TLS", "https://{http}/ok", False, ("CertificateProbeFailing",)),
    State("tcp_connect", "listens", "{http}", True),
    State("tcp_connect", "nobody listens", "{refused}", False, ("ServiceDependencyDown",)),
    State("tcp_connect", "no such name", "nothing.invalid:1883", False, ("ServiceDependencyDown",)),
    State("tcp_tls", "good certificate", "{https}", True),
    State("tcp_tls", "certificate ends in 3 days", "{soon}", True, ("SSLCertificateExpiringSoon",)),
    State("tcp_tls", "certificate ended 3 days ago", "{old}", True, ("SSLCertificateExpired",)),
    State("tcp_tls", "speaks no TLS", "{http}", False, ("ServiceDependencyDown",)),
    State("dns_good", "resolves", "{dns}", True),
    State("dns_missing", "no such name", "{dns}", False, ("EndpointDNSFailing",)),
    State("dns_broken", "SERVFAIL", "{dns}", False, ("EndpointDNSFailing",)),
    State("dns_foreign", "refuses the zone", "{dns}", False, ("EndpointDNSFailing",)),
    State("dns_good", "never answers: timeout", "{silent}", False, ("EndpointDNSFailing",)),
    State("soa_good", "SOA of the zone", "{dns}", True),
    State("soa_inside", "SOA of another zone", "{dns}", False, ("EndpointDNSFailing",)),
    State("soa_broken", "SERVFAIL", "{dns}", False, ("EndpointDNSFailing",)),
    State("dns_primary", "SOA names another primary server", "{dns}", False, ("EndpointDNSFailing",)),
    State("grpc", "serves", "{grpc}", True),
    State("grpc", "has no health service", "{no-health}", False, ("GRPCServiceNotServing",)),
    State("grpc", "nobody listens", "{refused}", False, ("GRPCServiceNotServing",)),
    State("grpc", "speaks no gRPC", "{http}", False, ("GRPCServiceNotServing",)),
    State("grpc_shop", "the service serves", "{grpc}", True),
    State("grpc_stopped", "the service says NOT_SERVING", "{grpc}", False, ("GRPCServiceNotServing",)),
    State("grpc_unknown", "the server does not know the service", "{grpc}", False, ("GRPCServiceNotServing",)),
    State("icmp", "answers ping", "127.0.0.1", True, isolated=True),
    State("icmp", "no way to the host", "192.0.2.1", False, ("HostUnreachable",), isolated=True),
    State("icmp", "sysctl not set", "127.0.0.1", False, ("HostUnreachable",), isolated=True, closed=True),
)


def row(state: State) -> str:
    """The state's line in the table of docs/probes.md."""
    alerts = ", ".join(state.alerts) or "none"
    return f"| `{state.module}` | {state.what} | {int(state.success)} | {alerts} |"
