"""Faults that show in log lines: pods write what broken programs write. And events, as their exporter writes them."""

import json
from dataclasses import replace

from tools.fire.cause import Cause, Object, pod, shell


def writes(line: str, every: float = 2) -> Object:
    """A pod that writes a line again and again, `every` so many seconds."""
    quoted = line.replace("'", "'\\''")
    return pod(shell(f"while :; do echo '{quoted}'; sleep {every}; done"))


def line(what: str, text: str, every: float = 2) -> Cause:
    """A pod that writes this line."""
    return Cause(what, [writes(text, every)], logs=True)


def event(reason: str, message: str, kind: str = "Pod", **more: object) -> Cause:
    """A line of the event exporter about an object of its namespace."""
    involved = {"kind": kind, "namespace": "shop", "name": "fault"}
    content = {"reason": reason, "type": "Warning", "message": message, "count": 8, "involvedObject": involved, **more}
    spec = shell(f"while :; do echo '{json.dumps(content)}'; sleep 5; done")
    exporter = pod(spec, **{"app.kubernetes.io/name": "event-exporter"})
    return Cause(f"a line of the event exporter: {reason}", [exporter], labels={"namespace": "shop"}, logs=True)


CAUSES: dict[str, Cause] = {
    "ApplicationPanic": line("a program that panics", "panic: runtime error: index out of range [3] with length 3"),
    "ApplicationExceptions": line("a program with unhandled exceptions", "Traceback (most recent call last):"),
    "DatabaseConnectionFailures": line(
        "a program without its database", 'level=error msg="could not connect to server: Connection refused"'
    ),
    "HTTP5xxInLogs": line("a web server that fails", '{"method":"GET","path":"/","status":503,"ms":12}', 0.5),
    "PermissionDeniedInLogs": line("a program without its rights", 'level=error msg="open /data/x: permission denied"'),
    "LeaderElectionLost": line("a controller that loses its lease", "E1121 leaderelection lost"),
    "ConnectionRefusedOrTimeout": line(
        "a program that reaches nobody", "dial tcp 10.0.0.9:443: connect: connection refused", 1
    ),
    "DNSResolutionFailures": line("a program that finds no name", "dial tcp: lookup shop.invalid: no such host"),
    "HighErrorLogRate": line("a program that logs three errors a second", 'level=error msg="it does not work"', 0.3),
    "KubernetesAPIDeprecationWarnings": line(
        "a client of a deprecated API",
        "W1121 v1beta1 Thing is deprecated in v1.30+, unavailable in v1.40+; use v1 Thing",
    ),
    "AdmissionWebhookErrorsInLogs": line(
        "a client whose object a webhook refuses", 'admission webhook "policy.example.org" denied the request: no'
    ),
    "CRDValidationErrorsInLogs": line(
        "an operator that writes invalid objects", 'Thing.example.org "a" is invalid: spec.size: Required value'
    ),
    "ImagePullAuthFailure": event("Failed", "failed to pull image: 401 Unauthorized"),
    "WorkloadCreationForbidden": event(
        "FailedCreate", 'pods "fault-1" is forbidden: exceeded quota: fault', kind="ReplicaSet"
    ),
    "PersistentVolumeMountFailures": event("FailedMount", "MountVolume.SetUp failed for volume data"),
    "VolumeProvisioningFailed": event("ProvisioningFailed", "no space", kind="PersistentVolumeClaim"),
    "VolumeResizeFailed": event("VolumeResizeFailed", "no space", kind="PersistentVolumeClaim"),
    "ProbeFailureEvents": event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
    "CNIPluginMissing": replace(
        event(
            "FailedCreatePodSandBox", 'failed to find plugin "bridge" in path [/opt/cni/bin]', source={"host": "fault"}
        ),
        labels={"node": "fault"},
    ),
    "RollbackEvents": event("RollbackSucceeded", "rolled back", kind="HelmRelease"),
}
