"""Promtail on every node: pod logs and the journal into Loki."""

from typing import Any

import pulumi

from components import images, log_agent, pods
from components.loki_gateway import CREDENTIALS
from components.promtail_config import PORT, POSITIONS, config, text
from settings import Settings

APP = "promtail"


def pod_spec(settings: Settings, app: str = APP, credentials: str = CREDENTIALS) -> dict[str, Any]:
    """Pod of the DaemonSet `app`, which finds its password in the Secret `credentials`."""
    container = {
        "name": APP,
        "image": images.reference("promtail", settings),
        "args": ["-config.file=/etc/promtail/config/config.yaml", "-config.expand-env=true"],
        "ports": [{"name": "http-metrics", "containerPort": PORT}],
        "resources": settings.log_agent.resources.manifest(),
        "readinessProbe": pods.http_probe("/ready", "http-metrics", period=5),
        "livenessProbe": pods.http_probe("/ready", "http-metrics", failures=6),
    }
    return log_agent.pod_spec(settings, app, container, "/etc/promtail", POSITIONS, credentials)


class Promtail(pulumi.ComponentResource):
    """The log agent, unless the stack chooses Alloy."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:Promtail", name, {}, opts)
        files = {"config.yaml": text(config(settings))}
        log_agent.deploy(name, APP, files, pod_spec(settings), settings=settings, parent=self, crds=crds)
        self.register_outputs({})
