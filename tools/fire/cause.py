"""What a cause of an alert is made of, and the few objects that most causes need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.access import Access

Object = dict[str, Any]
BUSYBOX = "docker.io/library/busybox:1.36.1"


@dataclass(frozen=True)
class Ground:
    """Where a cause works: the running stack, and a namespace of its own, which is deleted afterwards."""

    access: Access
    namespace: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl against the cluster. Raises UserError with its message."""
        return self.access.running.kubectl(*arguments, stdin=stdin)


Step = Callable[[Ground], None]


@dataclass(frozen=True)
class Cause:
    """One fault. `objects` get the namespace of the ground where they have none.

    `start` runs after the objects are there, `keep` again and again until the end, `stop` at the end.
    """

    what: str
    objects: Sequence[Object] = ()
    start: Step | None = None
    keep: Step | None = None
    stop: Step | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that tell this alert from others of its name, beside the namespace where the alert has one."""
    logs: bool = False
    """Whether a log line is the beginning of it."""


def pod_spec(*command: str, **container: Any) -> Object:
    """Spec of a pod with one container named `fault` that runs a command of busybox."""
    main = {"name": "fault", "image": BUSYBOX, "command": list(command), **container}
    return {"terminationGracePeriodSeconds": 1, "containers": [main]}


def pod(spec: Object, name: str = "fault", **labels: str) -> Object:
    """A pod."""
    meta = {"name": name, "labels": {"app": name, **labels}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def controller(kind: str, spec: Object, **more: Any) -> Object:
    """A Deployment, StatefulSet or DaemonSet named `fault` of pods with this spec; `more` comes to its own spec."""
    labels = {"app": "fault"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "fault"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **more},
    }


def shell(script: str, **container: Any) -> Object:
    """Spec of a pod that runs a shell script."""
    return pod_spec("sh", "-c", script, **container)


NEVER_READY: Object = {"exec": {"command": ["false"]}, "periodSeconds": 1}
"""A probe that always fails."""
SLEEPS = ("sleep", "infinity")
