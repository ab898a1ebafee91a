"""What the rules are about: Kubernetes objects, their pods and containers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]
Rule = Callable[[Sequence[Object]], list[str]]

WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job"}
OPERATED = {"Prometheus", "Alertmanager"}
APP = "app.kubernetes.io/name"


def name_of(item: Object) -> str:
    """Kind and name, as messages say it."""
    return f"{item['kind']}/{item['metadata']['name']}"


def template(item: Object) -> Object:
    """The template of a workload's pods."""
    found: Object = item["spec"]["template"]
    return found


def app(item: Object) -> str:
    """The app that a workload's pods belong to."""
    return str(template(item).get("metadata", {}).get("labels", {}).get(APP, item["metadata"]["name"]))


def workloads(objects: Sequence[Object]) -> list[Object]:
    """Objects that have the template of a pod."""
    return [item for item in objects if item["kind"] in WORKLOADS]


def pod_specs(objects: Sequence[Object]) -> list[tuple[Object, Object]]:
    """Each object that makes pods, and what it says of them; the operator's kinds say it in their own spec."""
    found = [(item, template(item)["spec"]) for item in workloads(objects)]
    return found + [(item, item["spec"]) for item in objects if item["kind"] in OPERATED]


def containers(item: Object) -> list[Object]:
    """Containers of a workload, those that run first among them."""
    spec = template(item)["spec"]
    return [*(spec.get("initContainers") or []), *spec["containers"]]


def every_container(objects: Sequence[Object]) -> Iterator[tuple[Object, Object]]:
    """Each container with its workload."""
    for item in workloads(objects):
        for container in containers(item):
            yield item, container
