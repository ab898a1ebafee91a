"""What is waited for after a deployment, and what is said about a pod that does not come up."""

from typing import Any

from tools.readiness import Trouble, troubles, unready, wanted


def pod(phase: str = "Pending", *containers: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "n", "name": "p"},
        "status": {"phase": phase, "containerStatuses": list(containers)},
    }


def waiting(reason: str, message: str = "m", **more: Any) -> dict[str, Any]:
    return {"name": "c", "state": {"waiting": {"reason": reason, "message": message}}, **more}


def event(reason: str, message: str, kind: str = "Pod", name: str = "p", time: str = "1") -> dict[str, Any]:
    where = {"kind": kind, "namespace": "n", "name": name}
    return {"involvedObject": where, "reason": reason, "message": message, "lastTimestamp": time}


def workload(kind: str, generation: int = 1, **status: int) -> dict[str, Any]:
    meta = {"namespace": "n", "name": "w", "generation": generation}
    return {"kind": kind, "metadata": meta, "spec": {"replicas": 2}, "status": {"observedGeneration": 1, **status}}


def test_what_the_operator_makes_is_waited_for() -> None:
    meta = {"namespace": "n", "name": "main"}
    objects = [{"kind": kind, "metadata": meta} for kind in ("Deployment", "Prometheus", "Alertmanager", "Secret")]
    assert wanted(objects) == [
        "Deployment/n/main",
        "StatefulSet/n/prometheus-main",
        "StatefulSet/n/alertmanager-main",
    ]


def test_a_workload_is_ready_with_all_replicas_of_the_newest_revision() -> None:
    assert unready([], ["Deployment/n/w"]) == ["Deployment/n/w"]
    assert unready([workload("Deployment", readyReplicas=2, updatedReplicas=2)], ["Deployment/n/w"]) == []
    for item in (
        workload("Deployment", readyReplicas=1, updatedReplicas=2),
        workload("Deployment", readyReplicas=2, updatedReplicas=1),
        workload("Deployment", 2, readyReplicas=2, updatedReplicas=2),
    ):
        assert unready([item], ["Deployment/n/w"]) == ["Deployment/n/w"]
    daemons = {"desiredNumberScheduled": 1, "updatedNumberScheduled": 1}
    assert unready([workload("DaemonSet", numberReady=0, **daemons)], ["DaemonSet/n/w"]) == ["DaemonSet/n/w"]
    assert unready([workload("DaemonSet", numberReady=1, **daemons)], ["DaemonSet/n/w"]) == []


def test_a_broken_mount_is_named() -> None:
    events = [event("FailedMount", 'configmap "x" not found', time="2"), event("Scheduled", "ok", time="1")]
    assert list(troubles([pod("Pending", waiting("ContainerCreating"))], events)) == [
        Trouble("n", "p", 'FailedMount: configmap "x" not found')
    ]


def test_a_wrong_argument_is_named_with_the_container_that_knows_more() -> None:
    crashed = waiting("CrashLoopBackOff", "back-off", lastState={"terminated": {"exitCode": 1}})
    assert list(troubles([pod("Running", crashed)], [])) == [Trouble("n", "p", "c: CrashLoopBackOff", "c")]


def test_a_missing_config_map_and_image_are_named() -> None:
    [config] = troubles([pod("Pending", waiting("CreateContainerConfigError", 'configmap "x" not found'))], [])
    assert config.why == 'c: CreateContainerConfigError: configmap "x" not found'
    [image] = troubles([pod("Pending", waiting("ErrImagePull"))], [])
    assert image.why.startswith("c: ErrImagePull")


def test_a_refused_pod_is_named_though_it_does_not_exist() -> None:
    refused = event("FailedCreate", "violates PodSecurity", kind="ReplicaSet", name="r")
    assert list(troubles([], [refused])) == [Trouble("n", "r", "FailedCreate: violates PodSecurity")]


def test_a_starting_or_running_pod_is_no_trouble() -> None:
    running = {"name": "c", "state": {"running": {}}}
    assert list(troubles([pod("Pending", waiting("ContainerCreating")), pod("Running", running)], [])) == []
    assert list(troubles([pod("Running", running)], [event("FailedMount", "earlier")])) == []
