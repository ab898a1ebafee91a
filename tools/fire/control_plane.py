"""Faults at the API server and its webhooks, and of the monitoring itself."""

import json
import time
import urllib.error
import urllib.request
from base64 import b64encode

from tools.cluster.kubectl import kubectl
from tools.console import UserError
from tools.fire.cause import SLEEPS, Cause, Ground, Object, controller, pod_spec

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
TRIES = 30
DAYS_OLD = 9


def as_nobody(ground: Ground) -> None:
    """Ask for what an account may not have."""
    _often(ground, f"--as=system:serviceaccount:{ground.namespace}:default", "get", "secrets", "--all-namespaces")


def with_bad_token(ground: Ground) -> None:
    """Ask with a token that nobody issued."""
    raw = json.loads(kubectl(ground.access.running.kubeconfig, "config", "view", "--raw", "--output=json"))
    server = raw["clusters"][0]["cluster"]["server"]
    _often(ground, f"--server={server}", "--token=nobody-issued-this", "get", "pods", anonymous=True)


def _often(ground: Ground, *arguments: str, anonymous: bool = False) -> None:
    for _ in range(TRIES):
        try:
            if anonymous:
                kubectl(ground.access.running.kubeconfig, "--client-certificate=", "--client-key=", *arguments)
            else:
                ground.kubectl(*arguments)
        except UserError:
            continue


def enforce(ground: Ground) -> None:
    """Ask for a pod that Pod Security refuses."""
    ground.kubectl("label", "namespace", ground.namespace, *(f"{k}={v}" for k, v in RESTRICTED.items()), "--overwrite")
    item = controller("Deployment", pod_spec(*SLEEPS))
    item["metadata"]["namespace"] = ground.namespace
    ground.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(item))


def webhook(ground: Ground) -> None:
    """A webhook before the ConfigMaps of this namespace that leads to nobody."""
    client = {"service": {"namespace": ground.namespace, "name": "nobody"}}
    place = {"matchLabels": {"kubernetes.io/metadata.name": ground.namespace}}
    scope = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    entry = {
        "name": "fault.example.org",
        "clientConfig": client,
        "rules": [scope],
        "namespaceSelector": place,
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    item: Object = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": ground.namespace},
        "webhooks": [entry],
    }
    ground.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(item))


def call_webhook(ground: Ground) -> None:
    """Create an object that the webhook should see."""
    try:
        ground.kubectl("create", "configmap", f"fault-{time.time_ns()}", f"--namespace={ground.namespace}")
    except UserError:
        return


def remove_webhook(ground: Ground) -> None:
    """Remove the webhook."""
    ground.kubectl("delete", "validatingwebhookconfiguration", ground.namespace, "--ignore-not-found")


def invalid_objects(ground: Ground) -> None:
    """Write custom resources that their CRD refuses."""
    bad = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": "fault", "namespace": ground.namespace},
        "spec": {"selector": {}, "podMetricsEndpoints": [{"interval": "never"}]},
    }
    for _ in range(5):
        try:
            ground.kubectl("create", "--filename=-", stdin=json.dumps(bad))
        except UserError:
            continue


def old_lines(ground: Ground) -> None:
    """Push a line that is older than Loki takes."""
    access = ground.access
    stamp = str(time.time_ns() - DAYS_OLD * 86400 * 10**9)
    stream = {"stream": {"namespace": ground.namespace, "app": "fault"}, "values": [[stamp, "too old"]]}
    pair = b64encode(f"{access.user}:{access.password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 (an address of this machine)
        f"{access.urls['loki']}/loki/api/v1/push",
        data=json.dumps({"streams": [stream]}).encode(),
        headers={"Authorization": f"Basic {pair}", "Content-Type": "application/json"},
    )
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != 400:
            raise UserError(f"Loki answered a line of last week with {error.code}") from None


CAUSES: dict[str, Cause] = {
    "APIAccessDenied": Cause("an account that asks for what it may not have", keep=as_nobody),
    "APIAuthenticationFailures": Cause("a client with a token that nobody issued", keep=with_bad_token),
    "PodSecurityViolations": Cause("a pod that Pod Security refuses", start=enforce),
    "AdmissionWebhookFailing": Cause(
        "a webhook that leads to nobody",
        start=webhook,
        keep=call_webhook,
        stop=remove_webhook,
        labels={"name": "fault.example.org"},
    ),
    "CustomResourceValidationErrors": Cause(
        "custom resources that their CRD refuses", keep=invalid_objects, labels={"resource": "podmonitors"}
    ),
    "LokiDiscardedSamples": Cause("lines that are older than Loki takes", keep=old_lines),
}
