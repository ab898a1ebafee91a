"""Blackbox exporter and the Probe objects of the stack file."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import addresses, pods
from components.monitors import monitoring_object, service_monitor
from components.versions import IMAGES
from settings import Settings
from settings.probes import (
    DNS_PREFIX,
    DNS_TIMEOUT,
    MODULES,
    BlackboxSettings,
    Probe,
    Target,
    module_job,
    module_timeout,
)

APP = addresses.BLACKBOX
USER = 65534

# Status codes of a site that answers by TLS, whatever it thinks of an anonymous visitor.
ANY_ANSWER = [200, 204, 301, 302, 307, 308, 401, 403, 404]


def config(settings: BlackboxSettings) -> dict[str, Any]:
    """Content of the exporter's configuration file; `blackbox_exporter --config.check` accepts every result."""
    http: dict[str, Any] = {"preferred_ip_protocol": "ip4", "ip_protocol_fallback": True}
    modules: dict[str, dict[str, Any]] = {
        "http_2xx": {"prober": "http", "http": http},
        "http_2xx_no_redirect": {"prober": "http", "http": {**http, "follow_redirects": False}},
        # Verification is off on purpose: with it an expired certificate ends the handshake, and its series vanishes.
        "http_ssl": {
            "prober": "http",
            "http": {
                **http,
                "fail_if_not_ssl": True,
                "valid_status_codes": ANY_ANSWER,
                "tls_config": {"insecure_skip_verify": True},
            },
        },
        "tcp_connect": {"prober": "tcp", "tcp": {"preferred_ip_protocol": "ip4"}},
        "icmp": {"prober": "icmp", "icmp": {"preferred_ip_protocol": "ip4"}},
        "grpc": {"prober": "grpc", "grpc": {"preferred_ip_protocol": "ip4"}},
    }
    result = {name: {"timeout": f"{MODULES[name][1]}s", **module} for name, module in modules.items()}
    for zone, query in settings.dns_zones.items():
        result[f"{DNS_PREFIX}{zone}"] = {
            "prober": "dns",
            "timeout": f"{DNS_TIMEOUT}s",
            "dns": {"query_name": query, "query_type": "A", "preferred_ip_protocol": "ip4"},
        }
    return {"modules": result}


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


def probe_spec(probe: Probe, namespace: str) -> dict[str, Any]:
    """Spec of a Probe object. Each target has a static configuration of its own labels."""
    prober = probe.prober or addresses.service(APP, namespace, addresses.BLACKBOX_PORT)
    scheme, _, address = prober.partition("://")
    return {
        "jobName": module_job(probe.module),
        "prober": {"url": address, "scheme": scheme, "path": "/probe"},
        "module": probe.module,
        "interval": probe.interval,
        "scrapeTimeout": f"{module_timeout(probe.module) + 1}s",
    }


class BlackboxExporter(pulumi.ComponentResource):
    """The exporter, its modules, and a Probe object for each service."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:BlackboxExporter", name, {}, opts)
        namespace = settings.namespaces.main
        child = pulumi.ResourceOptions(parent=self)
        content = yaml.safe_dump(config(settings.blackbox), sort_keys=False)
        k8s.core.v1.ConfigMap(
            f"{name}-config",
            metadata=pods.metadata(APP, namespace, f"{APP}-config"),
            data={"config.yml": content},
            opts=child,
        )
        k8s.core.v1.Service(
            f"{name}-service",
            metadata=pods.metadata(APP, namespace, **{"pulumi.com/skipAwait": "true"}),
            spec={
                "selector": pods.selector(APP),
                "ports": [{"name": "http", "port": addresses.BLACKBOX_PORT, "targetPort": "http"}],
            },
            opts=child,
        )
        k8s.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=pods.metadata(APP, namespace),
            spec={
                "replicas": 1,
                "selector": {"matchLabels": pods.selector(APP)},
                "template": {
                    "metadata": {
                        "labels": pods.labels(APP),
                        "annotations": {"checksum/config": pods.checksum(content)},
                    },
                    "spec": {
                        "automountServiceAccountToken": False,
                        # ping sockets for the exporter's group, so that icmp needs no capability.
                        "securityContext": {
                            **pods.restricted_pod(USER),
                            "sysctls": [{"name": "net.ipv4.ping_group_range", "value": f"{USER} {USER}"}],
                        },
                        "containers": [
                            {
                                "name": "blackbox-exporter",
                                "image": IMAGES["blackbox-exporter"].reference,
                                "args": ["--config.file=/etc/blackbox_exporter/config.yml"],
                                "ports": [{"name": "http", "containerPort": addresses.BLACKBOX_PORT}],
                                "resources": settings.blackbox.resources.manifest(),
                                "securityContext": pods.RESTRICTED_CONTAINER,
                                "readinessProbe": pods.http_probe("/-/healthy", "http", period=5),
                                "livenessProbe": pods.http_probe("/-/healthy", "http"),
                                "volumeMounts": [{"name": "config", "mountPath": "/etc/blackbox_exporter"}],
                            }
                        ],
                        "volumes": [{"name": "config", "configMap": {"name": f"{APP}-config"}}],
                    },
                },
            },
            opts=child,
        )
        for key, probe in {**own_probes(settings), **settings.blackbox.probes}.items():
            for target in probe.targets:
                static = {"static": [target.address], "labels": {"service": target.service, **target.labels}}
                monitoring_object(
                    f"{name}-probe-{key}-{target.service}",
                    "Probe",
                    pods.metadata(APP, namespace, f"{key}-{target.service}"),
                    probe_spec(probe, namespace) | {"targets": {"staticConfig": static}},
                    self,
                    crds,
                )
        service_monitor(f"{name}-monitor", APP, namespace, "http", self, crds)
        self.register_outputs({})
