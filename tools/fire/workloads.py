"""Faults of pods, their controllers, Services and quotas."""

import json
from typing import Any

from tools.fire.cause import NEVER_READY, SLEEPS, Cause, Ground, Object, controller, pod, pod_spec, shell
from tools.fire.nodes import add_node, remove_node, renew

CRASHING = shell("echo about to end; exit 1")
UNREADY = pod_spec(*SLEEPS, readinessProbe=NEVER_READY)
NOWHERE: Object = {**pod_spec(*SLEEPS), "nodeSelector": {"fault": "no-node-has-this"}}
UNMOUNTABLE: Object = {
    **pod_spec(*SLEEPS, volumeMounts=[{"name": "missing", "mountPath": "/missing"}]),
    "volumes": [{"name": "missing", "configMap": {"name": "missing"}}],
}
MISSING_KEY = {"name": "MISSING", "valueFrom": {"configMapKeyRef": {"name": "missing", "key": "missing"}}}
NOBODY_HAS = "registry.invalid/nobody/has:this"


def quota(**hard: str) -> Object:
    """A resource quota; names of resources have a slash where the arguments have an underscore."""
    limits = {name.replace("_", "/"): amount for name, amount in hard.items()}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "fault"}, "spec": {"hard": limits}}


def service(**spec: Any) -> Object:
    """A Service named `fault`."""
    ports = [{"port": 80}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "fault"}, "spec": {"ports": ports, **spec}}


def update_stateful_set(ground: Ground) -> None:
    """Wait until the first revision is Ready, then ask for an image that nobody has."""
    place = f"--namespace={ground.namespace}"
    ground.kubectl("rollout", "status", "statefulset/fault", place, "--timeout=120s")
    ground.kubectl("set", "image", "statefulset/fault", f"fault={NOBODY_HAS}", place)


def evict_from_own_node(ground: Ground) -> None:
    """Evict the pod from a node of its own, which has no kubelet: not every cluster has fake nodes."""
    add_node(ground, {})
    evict(ground)


def evict(ground: Ground) -> None:
    """Write into the pod's status what a kubelet writes when it evicts."""
    status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    ground.kubectl(
        "patch",
        "pod",
        "fault",
        f"--namespace={ground.namespace}",
        "--subresource=status",
        "--type=merge",
        f"--patch={json.dumps({'status': status})}",
    )


BUDGET: Object = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "fault"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "fault"}}},
}
ON_OWN_NODE: Object = {**pod_spec(*SLEEPS), "nodeName": "{namespace}", "tolerations": [{"operator": "Exists"}]}
TIGHT = {"limits": {"memory": "24Mi"}}

CAUSES: dict[str, Cause] = {
    "PodCrashLooping": Cause("a container that ends at once", [pod(CRASHING)]),
    "PodImagePullFailing": Cause("an image that no registry has", [pod(pod_spec(image=NOBODY_HAS))]),
    "ContainerConfigError": Cause("a variable from a missing ConfigMap", [pod(pod_spec(*SLEEPS, env=[MISSING_KEY]))]),
    "ContainerStuckCreating": Cause("a volume of a missing ConfigMap", [pod(UNMOUNTABLE)]),
    "PodPending": Cause("a pod that no node may run", [pod(NOWHERE)]),
    "PodUnschedulable": Cause("a pod that no node may run", [pod(NOWHERE)]),
    "ContainerOOMKilled": Cause(
        "a container that takes more memory than its limit",
        [pod(shell("sleep 20; dd if=/dev/zero of=/dev/null bs=200M count=1", resources=TIGHT))],
    ),
    "PodEvicted": Cause(
        "a pod whose status says Evicted, on a node of its own",
        [pod(ON_OWN_NODE)],
        start=evict_from_own_node,
        keep=renew,
        stop=remove_node,
    ),
    "DeploymentRolloutStuck": Cause(
        "a rollout that is never ready, with a deadline of ten seconds",
        [controller("Deployment", UNREADY, progressDeadlineSeconds=10)],
    ),
    "DeploymentUnavailable": Cause("a Deployment whose pods are never ready", [controller("Deployment", UNREADY)]),
    "DeploymentReplicaFailure": Cause(
        "a quota that allows no pod", [quota(pods="0"), controller("Deployment", pod_spec(*SLEEPS))]
    ),
    "WorkloadDown": Cause("a Deployment without an available pod", [controller("Deployment", UNREADY)]),
    "PodDisruptionBudgetViolated": Cause(
        "fewer healthy pods than the budget asks for", [BUDGET, controller("Deployment", UNREADY)]
    ),
    "StatefulSetReplicasMismatch": Cause(
        "a StatefulSet whose pod is never ready", [controller("StatefulSet", UNREADY, serviceName="fault")]
    ),
    "StatefulSetUpdateStuck": Cause(
        "an update to an image that nobody has",
        [controller("StatefulSet", pod_spec(*SLEEPS), serviceName="fault")],
        start=update_stateful_set,
    ),
    "DaemonSetNotOnAllNodes": Cause("a DaemonSet that crashes", [controller("DaemonSet", CRASHING)]),
    "ServiceNoReadyEndpoints": Cause(
        "a Service whose only pod is not ready",
        [service(selector={"app": "fault"}), pod(UNREADY)],
        labels={"label_kubernetes_io_service_name": "fault"},
    ),
    "ServiceSelectorMatchesNothing": Cause(
        "a Service that selects nothing",
        [service(selector={"app": "nobody"})],
        labels={"label_kubernetes_io_service_name": "fault"},
    ),
    "ContainerCPUThrottlingHigh": Cause(
        "a busy loop under a limit of 50m", [pod(shell("while :; do :; done", resources={"limits": {"cpu": "50m"}}))]
    ),
    "ResourceQuotaAlmostFull": Cause("a quota of one ConfigMap, which is used", [quota(count_configmaps="1")]),
    "LivenessProbeFailing": Cause(
        "a liveness probe that always fails",
        [pod(pod_spec(*SLEEPS, livenessProbe={**NEVER_READY, "periodSeconds": 5}))],
    ),
    "ReadinessProbeFailing": Cause("a readiness probe that always fails", [pod(UNREADY)]),
    "StartupProbeFailing": Cause(
        "a startup probe that always fails",
        [pod(pod_spec(*SLEEPS, startupProbe={**NEVER_READY, "periodSeconds": 5, "failureThreshold": 1000}))],
    ),
}
