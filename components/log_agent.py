"""What a log agent is to the cluster, whichever program it is: a DaemonSet that reads the node's log files."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import journal, pods
from components.loki_gateway import CREDENTIALS
from components.monitors import pod_monitor
from components.watching_account import watching_account
from settings import Settings

HOST_PATHS = {"logs": ("/var/log", "Directory")}
"""What every agent reads of its node: path and type of each volume."""


def pod_spec(
    settings: Settings,
    app: str,
    container: dict[str, Any],
    folder: str,
    positions: str,
    credentials: str = CREDENTIALS,
) -> dict[str, Any]:
    """Pod of the DaemonSet. It runs as root, since log files are root's, but without any capability.

    `container` is what the programs have apart, `folder` where they look for configuration and password, `positions`
    where they write down how far they have read: on the node's disk, since /run is lost at a reboot, and for each app
    in a folder of its own. `credentials` is the Secret with the password.
    """
    host = HOST_PATHS | (journal.HOST_PATHS if settings.log_agent.journal.enabled else {})
    mounts: list[dict[str, Any]] = [
        {"name": "config", "mountPath": f"{folder}/config"},
        {"name": "credentials", "mountPath": f"{folder}/secrets", "readOnly": True},
        {"name": "positions", "mountPath": positions},
        *({"name": name, "mountPath": path, "readOnly": True} for name, (path, _) in host.items()),
    ]
    return {
        "serviceAccountName": app,
        "priorityClassName": pods.NODE_PRIORITY_CLASS,
        # Not on virtual or Windows nodes, whose logs lie elsewhere or nowhere.
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {"runAsUser": 0, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": app,
                **container,
                "env": [
                    {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
                    # Promtail itself takes only targets whose __host__ equals HOSTNAME.
                    for variable in ("HOSTNAME", "NODE_NAME")
                ],
                "securityContext": pods.RESTRICTED_CONTAINER,
                "volumeMounts": mounts,
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": f"{app}-config"}},
            {"name": "credentials", "secret": {"secretName": credentials}},
            {"name": "positions", "hostPath": {"path": f"/var/lib/{app}", "type": "DirectoryOrCreate"}},
            *({"name": name, "hostPath": {"path": path, "type": kind}} for name, (path, kind) in host.items()),
        ],
    }


def deploy(
    name: str,
    app: str,
    files: dict[str, str],
    spec: dict[str, Any],
    *,
    settings: Settings,
    parent: pulumi.Resource,
    crds: pulumi.Resource,
) -> None:
    """The objects of a log agent, as children of `parent`; `files` is its configuration."""
    namespace = settings.namespaces.agents
    child = pulumi.ResourceOptions(parent=parent)
    watching_account(name, app, namespace, "pods", child)
    k8s.core.v1.ConfigMap(
        f"{name}-config", metadata=pods.metadata(app, namespace, f"{app}-config"), data=files, opts=child
    )
    [content] = files.values()
    k8s.apps.v1.DaemonSet(
        f"{name}-daemon-set",
        # A node that is down must not hold up a deployment for ever.
        metadata=pods.metadata(app, namespace, **pods.NO_WAIT),
        spec={
            "updateStrategy": {"rollingUpdate": {"maxUnavailable": "10%"}},
            **pods.workload(app, spec, **{"checksum/config": pods.checksum(content)}),
        },
        opts=child,
    )
    pod_monitor(f"{name}-monitor", app, namespace, "http-metrics", parent, crds)
