"""The stand-in for the DCGM exporter: no GPU is here, so a web server serves a recorded exposition of one GPU."""

import copy
from pathlib import Path
from typing import Any

from components import pods
from components.dcgm_exporter import APP
from components.dcgm_pod import PORT
from components.versions import IMAGES
from tools.stand_in.kinds import STANDS_FOR, Object

RECORDED = Path(__file__).parent / "dcgm_recorded.prom"
NAME = f"{APP}-recorded"
NODE = "fake-gpu"
"""The fake node whose GPU the recording is of: nothing runs there, so the server runs on the real node."""
USER = 101
CONFIG = f"""\
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
events {{}}
http {{
  access_log off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server {{
    listen {PORT};
    location = /metrics {{ default_type "text/plain; version=0.0.4"; alias /recorded/metrics; }}
    location = /health {{ return 200 "recorded\\n"; }}
  }}
}}
"""


def recorded(objects: list[Object]) -> list[Object]:
    """The objects with the recording in the place of the exporter; unchanged where the stack deploys none."""
    return [item for original in objects for item in _replaced(original)]


def _replaced(item: Object) -> list[Object]:
    if item["metadata"]["name"] != APP or item["kind"] not in {"DaemonSet", "PodMonitor"}:
        return [item]
    changed = copy.deepcopy(item)
    changed["metadata"]["labels"][STANDS_FOR] = APP
    if item["kind"] == "PodMonitor":
        for endpoint in changed["spec"]["podMetricsEndpoints"]:
            endpoint["relabelings"].append({"targetLabel": "node", "replacement": NODE})
        return [changed]
    template = changed["spec"]["template"]
    template["metadata"] = {"labels": {**template["metadata"]["labels"], STANDS_FOR: APP}}
    template["spec"] = _pod()
    namespace = item["metadata"]["namespace"]
    data = {"nginx.conf": CONFIG, "metrics": RECORDED.read_text(encoding="utf-8")}
    meta = {"name": NAME, "namespace": namespace, "labels": {**pods.labels(APP), STANDS_FOR: APP}}
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}, changed]


def _pod() -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": pods.restricted_pod(USER),
        "containers": [
            {
                "name": NAME,
                "image": IMAGES["nginx"].reference,
                "args": ["nginx", "-c", "/recorded/nginx.conf", "-g", "daemon off;"],
                "ports": [{"name": "metrics", "containerPort": PORT}],
                "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
                "securityContext": pods.RESTRICTED_CONTAINER,
                "readinessProbe": pods.http_probe("/health", "metrics", period=5),
                "volumeMounts": [
                    {"name": "recorded", "mountPath": "/recorded"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (a mount path in the pod)
                ],
            }
        ],
        "volumes": [
            {"name": "recorded", "configMap": {"name": NAME}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
        ],
    }
