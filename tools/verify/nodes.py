"""Is every pod of the stack ready, and does a log agent run on every node that should have one?"""

from collections.abc import Iterable, Mapping
from typing import Any

from components import log_agent
from components.pods import selector
from settings import Settings
from tools.cluster.fake_nodes import MANAGED
from tools.reach import Reach
from tools.verify.result import Result, some

REPELS = ("NoSchedule", "NoExecute")


def all_fake(cluster: Reach) -> bool:
    """Whether kwok plays every node of the cluster: their pods are ready, and no container runs."""
    found = cluster.get("nodes")["items"]
    return bool(found) and all(MANAGED in node["metadata"].get("annotations", {}) for node in found)


def agents(cluster: Reach, settings: Settings, app: str) -> Result:
    """A ready pod of the log agent `app` on every node whose labels and taints let its DaemonSet in."""
    wanted = should_have(cluster.get("nodes")["items"], log_agent.pod_spec(settings, app, {}, "", ""))
    labels = ",".join(f"{key}={value}" for key, value in selector(app).items())
    pods = cluster.get("pods", f"--namespace={settings.namespaces.agents}", f"--selector={labels}")["items"]
    there = {pod["spec"].get("nodeName") for pod in pods if ready(pod)}
    missing = sorted(set(wanted) - there)
    if not wanted:
        return Result("", False, "no node of the cluster lets a log agent in", "kubectl get nodes --show-labels")
    return Result(
        "",
        not missing,
        f"{app} is ready on {len(wanted) - len(missing)} of {len(wanted)} nodes"
        + (f"; not on {some(missing)}" if missing else ""),
        f"kubectl -n {settings.namespaces.agents} describe daemonset {app}",
    )


def should_have(nodes: Iterable[Mapping[str, Any]], spec: Mapping[str, Any]) -> list[str]:
    """Names of the nodes that a DaemonSet with this pod runs on: by its node selector and its tolerations."""
    tolerations = spec.get("tolerations", [])
    return [
        node["metadata"]["name"]
        for node in nodes
        if spec.get("nodeSelector", {}).items() <= node["metadata"].get("labels", {}).items()
        and all(
            any(_tolerates(toleration, taint) for toleration in tolerations)
            for taint in node.get("spec", {}).get("taints") or []
            if taint["effect"] in REPELS
        )
    ]


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in {None, taint["effect"]}:
        return False
    if toleration.get("key") not in {None, taint["key"]}:
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def pods(cluster: Reach, settings: Settings) -> Result:
    """Every pod of both namespaces is ready, or has done its work."""
    found = [
        pod
        for namespace in (settings.namespaces.main, settings.namespaces.agents)
        for pod in cluster.get("pods", f"--namespace={namespace}")["items"]
        if pod["status"].get("phase") != "Succeeded"
    ]
    lame = sorted(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in found if not ready(pod))
    if not found:
        return Result("", False, "there is no pod at all", f"kubectl get pods -n {settings.namespaces.main}")
    where = settings.namespaces.main
    return Result(
        "",
        not lame,
        f"{len(found) - len(lame)} of {len(found)} are ready" + (f"; not {some(lame)}" if lame else ""),
        f"kubectl describe pod -n {lame[0].replace('/', ' ') if lame else where}",
    )


def ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod has the condition Ready."""
    conditions = pod["status"].get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
