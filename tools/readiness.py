"""Waits until what was deployed is Ready, and says at once what keeps a pod from it, and why."""

import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.cluster.kubectl import kubectl
from tools.console import UserError, progress, say

SECONDS = 300
POLL_SECONDS = 1.0
STEADY_SECONDS = 5.0
LOG_LINES = 3
MANY_ENDINGS = 2
"""A container that ended once, because something that it needs was not there yet, may heal by its restart."""
USUAL = {"ContainerCreating", "PodInitializing"}
IDENTITY = re.compile(r"\b[0-9a-f]{64}\b")
CRASH_LOOP = "CrashLoopBackOff"
TELLING_EVENTS = {"FailedMount", "FailedAttachVolume", "FailedScheduling", "FailedCreatePodSandBox", "FailedCreate"}
OPERATED = {"Prometheus": "prometheus", "Alertmanager": "alertmanager"}
"""Kinds of which the operator makes a StatefulSet, and the first part of that one's name."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Trouble:
    """What keeps a pod from being Ready. `crashed` is the container whose own last words say more.

    `runs_again`: those words are in the log of the container before the one that runs now.
    """

    namespace: str
    name: str
    why: str
    crashed: str | None = None
    runs_again: bool = field(default=False, compare=False)


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


def troubles(pods: Iterable[Object], events: Iterable[Object], endings: int = MANY_ENDINGS) -> Iterator[Trouble]:
    """What is wrong with pods, and with what cannot even make its pods.

    A container that ended `endings` times and does not serve is named: a kubelet shows it as terminated, or as running
    for a moment, long before it says CrashLoopBackOff.
    """
    last = {(e["involvedObject"].get("namespace", ""), e["involvedObject"]["name"]): e for e in _by_time(events)}
    for pod in pods:
        place = pod["metadata"]["namespace"], pod["metadata"]["name"]
        status = pod["status"]
        containers = status.get("containerStatuses", [])
        # An init container that ended well has done its work.
        inits = [item for item in status.get("initContainerStatuses", []) if not item.get("ready")]
        for container in [*inits, *containers]:
            if trouble := _trouble(place, container, endings):
                yield trouble
        waiting = any("waiting" in container["state"] for container in [*inits, *containers])
        pending = waiting or status["phase"] == "Pending"
        if pending and place in last and last[place]["reason"] in TELLING_EVENTS:
            yield Trouble(*place, f"{last[place]['reason']}: {_short(last[place])}")
    for (namespace, name), event in last.items():
        if event["reason"] == "FailedCreate" and event["involvedObject"]["kind"] != "Pod":
            yield Trouble(namespace, name, f"FailedCreate: {_short(event)}")


def _trouble(place: tuple[str, str], container: Object, endings: int) -> Trouble | None:
    """What keeps one container from serving; None where nothing does, or where it is too early to say."""
    name, state = container["name"], container["state"]
    waiting = state.get("waiting", {}).get("reason", "")
    if waiting and waiting not in {*USUAL, CRASH_LOOP}:
        return Trouble(*place, f"{name}: {waiting}: {_short(state['waiting'])}")
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated")
    times = container.get("restartCount", 0) + ("terminated" in state)
    if ended is None or container.get("ready") or (times < endings and waiting != CRASH_LOOP):
        return None
    # How often and how long it waits changes all the time: what is said once must stay the same.
    why = f"{name}: crashes, exit code {ended['exitCode']} ({ended.get('reason', 'no reason')})"
    if "message" in ended:
        why = f"{why}: {_short(ended)}"
    return Trouble(*place, why, name, runs_again="running" in state)


def _by_time(events: Iterable[Object]) -> list[Object]:
    return sorted(events, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")


def _short(item: Object) -> str:
    """The message in one line; without identities of containers, which differ with each attempt."""
    return " ".join(IDENTITY.sub("...", str(item.get("message", "no message"))).split())[:400]


def restarts(pods: Iterable[Object]) -> dict[tuple[str, str], int]:
    """How often containers of each pod were started again, of those that were."""
    counts = {
        (pod["metadata"]["namespace"], pod["metadata"]["name"]): sum(
            container.get("restartCount", 0) for container in pod["status"].get("containerStatuses", [])
        )
        for pod in pods
    }
    return {place: count for place, count in counts.items() if count}


def wait(kubeconfig: Path, objects: Iterable[Object], seconds: float = SECONDS) -> None:
    """Wait until every workload of the objects is Ready and stays so; what is wrong meanwhile is said once.

    A container without a readiness probe is Ready for a moment before it crashes: only what was Ready for
    `STEADY_SECONDS`, and not started again in them, counts.

    Raises UserError with what is not Ready and why, after `seconds`.
    """
    names = wanted(objects)
    namespaces = sorted({name.split("/")[1] for name in names})
    deadline = time.monotonic() + seconds
    said: set[Trouble] = set()
    # Nothing has been seen before the first look, however long that takes.
    before: dict[tuple[str, str], int] | None = None
    missing, since = names, time.monotonic()
    with progress(f"waiting for {len(names)} workloads to be Ready"):
        while names:
            now_missing = unready(_all(kubeconfig, "deployments,statefulsets,daemonsets", namespaces), names)
            pods, events = _all(kubeconfig, "pods", namespaces), _all(kubeconfig, "events", namespaces)
            now = time.monotonic()
            if now_missing or restarts(pods) != before:
                missing, before, since = now_missing or missing, restarts(pods), now
            elif now - since >= STEADY_SECONDS:
                return
            for trouble in troubles(pods, events):
                if trouble not in said:
                    said.add(trouble)
                    say(f"NOT READY: {_words(kubeconfig, trouble)}")
            if now > deadline:
                found = [_words(kubeconfig, trouble) for trouble in troubles(pods, events, endings=1)]
                reasons = "\n".join(f"  {text}" for text in found) or "  no pod says why"
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
        options += ["--previous"] if trouble.runs_again else []
        lines = kubectl(kubeconfig, "logs", trouble.name, *options).strip().splitlines()
    except UserError:
        return text
    return "\n".join([text, *(f"    {line[:300]}" for line in lines)])
