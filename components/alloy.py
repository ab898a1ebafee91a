"""Alloy on every node, in Promtail's place: pod logs and the journal into Loki."""

from typing import Any

import pulumi

from components import images, log_agent, pods
from components.alloy_config import config
from components.loki_gateway import CREDENTIALS
from settings import Settings

APP = "alloy"
PORT = 12345
POSITIONS = "/var/lib/alloy"


def pod_spec(settings: Settings, app: str = APP, credentials: str = CREDENTIALS) -> dict[str, Any]:
    """Pod of the DaemonSet `app`, which finds its password in the Secret `credentials`."""
    container = {
        "name": APP,
        "image": images.reference("alloy", settings),
        "args": [
            "run",
            "/etc/alloy/config/config.alloy",
            f"--storage.path={POSITIONS}",
            f"--server.http.listen-addr=0.0.0.0:{PORT}",
            "--disable-reporting",
        ],
        "ports": [{"name": "http-metrics", "containerPort": PORT}],
        "resources": settings.log_agent.resources.manifest(),
        "readinessProbe": pods.http_probe("/-/ready", "http-metrics", period=5),
        "livenessProbe": pods.http_probe("/-/ready", "http-metrics", failures=6),
    }
    return log_agent.pod_spec(settings, app, container, "/etc/alloy", POSITIONS, credentials)


class Alloy(pulumi.ComponentResource):
    """The log agent of stacks that choose it."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:Alloy", name, {}, opts)
        files = {"config.alloy": config(settings)}
        log_agent.deploy(name, APP, files, pod_spec(settings), settings=settings, parent=self, crds=crds)
        self.register_outputs({})
