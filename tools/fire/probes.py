"""Faults that the blackbox exporter sees: nobody listens, wrong answers, an old certificate. And a dead target."""

import datetime
import ipaddress
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.addresses import ALERTMANAGER, ALERTMANAGER_PORT, BLACKBOX, BLACKBOX_PORT, service
from components.monitors import GROUP_VERSION
from components.versions import IMAGES
from settings.probes import module_job
from tools.fire.cause import SLEEPS, Cause, Ground, Object, pod, pod_spec

NGINX = IMAGES["nginx"].reference
MAIN = "{main}"
HOST = "fault.{namespace}.svc.cluster.local"
"""`{namespace}` becomes the ground's, `{main}` the stack's own; so it is in every text of an object."""


def site(listen: str, body: str, **data: str) -> list[Object]:
    """A web server, its configuration and its Service on port 8080."""
    config = f"server {{ listen {listen}; location / {{ {body} }} }}"
    container = {
        "name": "fault",
        "image": NGINX,
        "volumeMounts": [{"name": "site", "mountPath": "/etc/nginx/conf.d"}],
    }
    files = {"site.conf": config, **data}
    volume = {"name": "site", "configMap": {"name": "site"}}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "site"}, "data": files},
        pod({"terminationGracePeriodSeconds": 1, "containers": [container], "volumes": [volume]}),
        endpoint(),
    ]


def endpoint() -> Object:
    """The Service `fault` on port 8080."""
    spec = {"selector": {"app": "fault"}, "ports": [{"port": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "fault"}, "spec": spec}


def probe(module: str, *targets: str) -> Object:
    """A Probe object of the stack's blackbox exporter: one service with these endpoints."""
    prober = service(BLACKBOX, MAIN, BLACKBOX_PORT).removeprefix("http://")
    static = {"static": list(targets), "labels": {"service": "{namespace}"}}
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Probe",
        "metadata": {"name": "fault"},
        "spec": {
            "jobName": module_job(module),
            "prober": {"url": prober, "path": "/probe"},
            "module": module,
            "interval": "15s",
            "scrapeTimeout": "14s",
            "targets": {"staticConfig": static},
        },
    }


def certificate(days: int, address: str | None = None) -> dict[str, str]:
    """Key and certificate, as PEM, that ends in so many days; a negative number is in the past.

    A client that trusts it and verifies wants `address`, the IP address of the server, in it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fault")])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    builder = x509.CertificateBuilder()
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = builder.add_extension(names, critical=False)
    signed = (
        builder.subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=90))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"tls.key": plain.decode(), "tls.crt": signed.public_bytes(pem).decode()}


def tls_site(days: int) -> list[Object]:
    """A web server whose certificate ends in so many days."""
    files = "ssl_certificate /etc/nginx/conf.d/tls.crt; ssl_certificate_key /etc/nginx/conf.d/tls.key"
    return site(f"8080 ssl; {files}", "return 200 fault;", **certificate(days))


def target(**spec: Any) -> Object:
    """A PodMonitor of the pod `fault`."""
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "PodMonitor",
        "metadata": {"name": "fault"},
        "spec": {"selector": {"matchLabels": {"app": "fault"}}, "podMetricsEndpoints": [{"port": "metrics"}], **spec},
    }


SILENT = pod(pod_spec(*SLEEPS, ports=[{"name": "metrics", "containerPort": 9999}]))
SERVICE = {"service": "{namespace}"}
URL = f"http://{HOST}:8080/"
EVERY_OTHER_MINUTE = 'if ($time_iso8601 ~ ":[0-5][13579]:") { return 503; } return 200 fault;'
ANSWERS = f"{service(ALERTMANAGER, MAIN, ALERTMANAGER_PORT)}/-/healthy"


def scale_blackbox(ground: Ground, replicas: int) -> None:
    """Scale the stack's own blackbox exporter."""
    place = f"--namespace={ground.access.namespaces.main}"
    ground.kubectl("scale", f"deployment/{BLACKBOX}", f"--replicas={replicas}", place)


KILLED = Cause(
    "the blackbox exporter scaled to nothing",
    start=lambda ground: scale_blackbox(ground, 0),
    stop=lambda ground: scale_blackbox(ground, 1),
)

CAUSES: dict[str, Cause] = {
    # Without an endpoint that answers, this and the next would be told as ServiceEndpointDown.
    "EndpointDown": Cause(
        "a site of two endpoints, where on one of them nobody listens",
        [SILENT, endpoint(), probe("http_2xx", URL, ANSWERS)],
        labels=SERVICE,
    ),
    "EndpointUnexpectedStatus": Cause(
        "a site of two endpoints, of which one answers 503",
        [*site("8080", "return 503;"), probe("http_2xx", URL, ANSWERS)],
        labels=SERVICE,
    ),
    "ServiceEndpointDown": Cause(
        "a service of whose endpoints none answers", [SILENT, endpoint(), probe("http_2xx", URL)], labels=SERVICE
    ),
    # Never down for long, which would be told as EndpointDown.
    "EndpointAvailabilityLow": Cause(
        "a site that answers 503 every other minute",
        [*site("8080", EVERY_OTHER_MINUTE), probe("http_2xx", URL)],
        labels=SERVICE,
    ),
    "SSLCertificateExpired": Cause(
        "a site with an expired certificate",
        [*tls_site(-3), probe("http_ssl", f"https://{HOST}:8080/")],
        labels=SERVICE,
    ),
    "SSLCertificateExpiringSoon": Cause(
        "a site whose certificate ends in three days",
        [*tls_site(3), probe("http_ssl", f"https://{HOST}:8080/")],
        labels=SERVICE,
    ),
    "ServiceDependencyDown": Cause(
        "a database where nobody listens", [SILENT, endpoint(), probe("tcp_connect", f"{HOST}:8080")], labels=SERVICE
    ),
    "CertificateProbeFailing": Cause(
        "a site by TLS where nobody listens",
        [SILENT, endpoint(), probe("http_ssl", f"https://{HOST}:8080/")],
        labels=SERVICE,
    ),
    "GRPCServiceNotServing": Cause(
        "a gRPC service where nobody listens", [SILENT, endpoint(), probe("grpc", f"{HOST}:8080")], labels=SERVICE
    ),
    # The address of a Service answers on its ports alone.
    "HostUnreachable": Cause("a host that answers no ping", [SILENT, endpoint(), probe("icmp", HOST)], labels=SERVICE),
    "EndpointDNSFailing": Cause(
        "a resolver that does not answer", [SILENT, endpoint(), probe("dns_cluster", HOST)], labels=SERVICE
    ),
    "ExporterDown": Cause("a target that does not answer", [SILENT, target()]),
    "MonitoringTargetMissing": Cause(
        KILLED.what, start=KILLED.start, stop=KILLED.stop, labels={"missing_job": "blackbox-exporter"}
    ),
    "BlackboxProbesMissing": Cause(KILLED.what, start=KILLED.start, stop=KILLED.stop),
}
