"""Waits until what was deployed is Ready, and says at once what keeps a pod from it, and why."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.cluster.kubectl import kubectl
from tools.console import UserError, progress, say

SECONDS = 300
POLL_SECONDS = 1.0
LOG_LINES = 3
USUAL = {"ContainerCreating", "PodInitializing"}
TELLING_EVENTS = {"FailedMount", "FailedAttachVolume", "FailedScheduling", "FailedCreatePodSandBox", "FailedCreate"}
OPERATED = {"Prometheus": "prometheus", "Alertmanager": "alertmanager"}
"""Kinds of which the operator makes a StatefulSet, and the first part of that one's name."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Trouble:
    """What keeps a pod from being Ready. `crashed` is the container whose own last words say more."""

    namespace: str
    name: str
    why: str
    crashed: str | None = None


def wanted(objects: Iterable[Object]) -> list[str]:
    """The workloads of the objects as `kind/namespace/name`, those among them that the operator will make."""
    found = []
    for item in objects:
        kind, meta = item["kind"], item["metadata"]
        if kind in {"Deployment", "StatefulSet", "DaemonSet"}:
            found.append(f"{kind}/{meta['namespace']}/{meta['name']}")
        elif kind in OPERATED:
            found.append(f"StatefulSet/{meta['namespace']}/{OPERATED[kind]}-{meta['name']}")
    return found


def unready(workloads: Iterable[Object], names: Iterable[str]) -> list[str]:
    """Those of the named workloads that are missing, not yet at their newest revision, or not Ready."""
    there = {f"{item['kind']}/{item['metadata']['namespace']}/{item['metadata']['name']}": item for item in workloads}
    return [name for name in names if name not in there or not _ready(there[name])]


def _ready(item: Object) -> bool:
    status = item.get("status", {})
    if status.get("observedGeneration", 0) < item["metadata"]["generation"]:
        return False
    if item["kind"] == "DaemonSet":
        desired = status.get("desiredNumberScheduled", 0)
        return bool(status.get("updatedNumberScheduled", 0) == desired == status.get("numberReady", 0))
    desired = item["spec"]["replicas"]
    return bool(status.get("updatedReplicas", 0) == desired == status.get("readyReplicas", 0))


def troubles(pods: Iterable[Object], events: Iterable[Object]) -> Iterator[Trouble]:
    """What is wrong with pods, and with what cannot even make its pods."""
    last = {(e["involvedObject"].get("namespace", ""), e["involvedObject"]["name"]): e for e in _by_time(events)}
    for pod in pods:
        place = pod["metadata"]["namespace"], pod["metadata"]["name"]
        status = pod["status"]
        waiting = False
        for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            state = container["state"].get("waiting")
            if state and state["reason"] not in USUAL:
                crashed = container["name"] if container.get("lastState") else None
                # The message of a crash only says how long the kubelet waits; its log says more.
                why = state["reason"] if crashed else f"{state['reason']}: {_short(state)}"
                yield Trouble(*place, f"{container['name']}: {why}", crashed)
            waiting = waiting or state is not None
        pending = waiting or status["phase"] == "Pending"
        if pending and place in last and last[place]["reason"] in TELLING_EVENTS:
            yield Trouble(*place, f"{last[place]['reason']}: {_short(last[place])}")
    for (namespace, name), event in last.items():
        if event["reason"] == "FailedCreate" and event["involvedObject"]["kind"] != "Pod":
            yield Trouble(namespace, name, f"FailedCreate: {_short(event)}")


def _by_time(events: Iterable[Object]) -> list[Object]:
    return sorted(events, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")


def _short(item: Object) -> str:
    return " ".join(str(item.get("message", "no message")).split())[:400]


def wait(kubeconfig: Path, objects: Iterable[Object], seconds: float = SECONDS) -> None:
    """Wait until every workload of the objects is Ready; what is wrong meanwhile is said once.

    Raises UserError with what is not Ready and why, after `seconds`.
    """
    names = wanted(objects)
    namespaces = sorted({name.split("/")[1] for name in names})
    deadline = time.monotonic() + seconds
    said: set[Trouble] = set()
    with progress(f"waiting for {len(names)} workloads to be Ready"):
        while missing := unready(_all(kubeconfig, "deployments,statefulsets,daemonsets", namespaces), names):
            pods, events = _all(kubeconfig, "pods", namespaces), _all(kubeconfig, "events", namespaces)
            found = list(troubles(pods, events))
            for trouble in found:
                if trouble not in said:
                    said.add(trouble)
                    say(f"NOT READY: {_words(kubeconfig, trouble)}")
            if time.monotonic() > deadline:
                reasons = "\n".join(f"  {_words(kubeconfig, trouble)}" for trouble in found) or "  no pod says why"
                raise UserError(f"not Ready after {seconds:.0f} s: {', '.join(missing)}\n{reasons}")
            time.sleep(POLL_SECONDS)


def _all(kubeconfig: Path, kinds: str, namespaces: Iterable[str]) -> list[Object]:
    return [
        item
        for namespace in namespaces
        for item in json.loads(kubectl(kubeconfig, "get", kinds, f"--namespace={namespace}", "--output=json"))["items"]
    ]


def _words(kubeconfig: Path, trouble: Trouble) -> str:
    text = f"{trouble.namespace}/{trouble.name}: {trouble.why}"
    if trouble.crashed is None:
        return text
    try:
        options = [f"--namespace={trouble.namespace}", f"--container={trouble.crashed}", f"--tail={LOG_LINES}"]
        lines = kubectl(kubeconfig, "logs", trouble.name, "--previous", *options).strip().splitlines()
    except UserError:
        return text
    return "\n".join([text, *(f"    {line[:300]}" for line in lines)])
