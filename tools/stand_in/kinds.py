"""Objects that every part of the stand-in has: accounts with their rights, Services, Deployments' pods, monitors."""

from collections.abc import Sequence
from typing import Any

from components.monitors import GROUP_VERSION, RELEASE

Object = dict[str, Any]
STANDS_FOR = "observability/stands-in-for"
"""Label of every object that is not the real thing; its value names what it stands for."""
RBAC = "rbac.authorization.k8s.io"


def metadata(name: str, namespace: str | None, app: str, *, stands_for: str = "kube-prometheus-stack") -> Object:
    """Metadata of an object of the stand-in; `app` is its app.kubernetes.io/name, as the chart calls it."""
    labels = {"app.kubernetes.io/name": app, STANDS_FOR: stands_for, **RELEASE}
    return {"name": name, "labels": labels} | ({"namespace": namespace} if namespace else {})


def selector(app: str) -> dict[str, str]:
    """Labels that select the pods of `app`."""
    return {"app.kubernetes.io/name": app}


def account(name: str, namespace: str, app: str, rules: Sequence[Object]) -> list[Object]:
    """A service account with the cluster-wide rights `rules`."""
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name, namespace, app)},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": metadata(name, None, app),
            "rules": list(rules),
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata(name, None, app),
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def rule(groups: str, resources: str, verbs: str) -> Object:
    """A rule of a ClusterRole; each argument is a list with blanks between, `core` the group without a name."""
    named = ["" if group == "core" else group for group in groups.split()]
    return {"apiGroups": named, "resources": resources.split(), "verbs": verbs.split()}


def service(name: str, namespace: str, app: str, spec: Object, **labels: str) -> Object:
    """A Service; `labels` come to the usual ones."""
    meta = metadata(name, namespace, app)
    meta["labels"] |= labels
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def workload(kind: str, name: str, namespace: str, app: str, pod: Object, **spec: Any) -> Object:
    """A Deployment or DaemonSet whose pods have the spec `pod`; `spec` comes to its own."""
    template = {"metadata": {"labels": metadata(name, namespace, app)["labels"]}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": metadata(name, namespace, app),
        "spec": {**spec, "selector": {"matchLabels": selector(app)}, "template": template},
    }


def service_monitor(
    name: str, namespace: str, app: str, selected: dict[str, str], endpoints: Sequence[Object], **spec: Any
) -> Object:
    """A ServiceMonitor over the Services with the labels `selected`."""
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "ServiceMonitor",
        "metadata": metadata(name, namespace, app),
        "spec": {**spec, "selector": {"matchLabels": selected}, "endpoints": list(endpoints)},
    }
