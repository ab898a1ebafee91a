"""What is waited for after a deployment, and what is said about a pod that does not come up."""

import time
from pathlib import Path
from typing import Any

import pytest

from tools import readiness
from tools.console import UserError
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


def ended(code: int = 1, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason}}


@pytest.mark.parametrize(
    ("state", "restarts", "runs_again"),
    [
        # As a kubelet shows it one after the other, for minutes before it says CrashLoopBackOff.
        (ended(), 1, False),
        ({"running": {}}, 2, True),
        (ended(), 2, False),
        ({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}, 3, False),
    ],
)
def test_a_wrong_argument_is_named_with_the_container_that_knows_more(
    state: dict[str, Any], restarts: int, runs_again: bool
) -> None:
    container = {"name": "c", "state": state, "restartCount": restarts, "lastState": ended(), "ready": False}
    [found] = troubles([pod("Running", container)], [])
    assert found == Trouble("n", "p", "c: crashes, exit code 1 (Error)", "c")
    assert found.runs_again is runs_again


def test_one_restart_that_may_heal_is_named_only_at_the_end() -> None:
    again = {"name": "c", "state": {"running": {}}, "restartCount": 1, "lastState": ended(), "ready": False}
    first = {"name": "c", "state": ended(137, "OOMKilled"), "restartCount": 0, "lastState": {}, "ready": False}
    for container, why in ((again, "exit code 1 (Error)"), (first, "exit code 137 (OOMKilled)")):
        assert list(troubles([pod("Running", container)], [])) == []
        [found] = troubles([pod("Running", container)], [], endings=1)
        assert found.why == f"c: crashes, {why}"


def test_a_container_that_healed_is_no_trouble() -> None:
    healed = {"name": "c", "state": {"running": {}}, "restartCount": 4, "lastState": ended(), "ready": True}
    assert list(troubles([pod("Running", healed)], [], endings=1)) == []


def test_what_the_runtime_says_of_a_wrong_command_is_told() -> None:
    wrong = {"exitCode": 128, "reason": "StartError", "message": 'exec: "nope":\nnot found'}
    container = {"name": "c", "state": {"terminated": wrong}, "restartCount": 1, "lastState": {}, "ready": False}
    [found] = troubles([pod("Running", container)], [])
    assert found.why == 'c: crashes, exit code 128 (StartError): exec: "nope": not found'


def test_attempts_that_differ_only_in_their_container_are_one_trouble() -> None:
    message = 'failed to generate container "{}" spec: path "/sys" is not a shared mount'
    attempts = [waiting("CreateContainerError", message.format(digit * 64)) for digit in "7a"]
    first, second = (list(troubles([pod("Pending", attempt)], [])) for attempt in attempts)
    assert first == second
    assert 'container "..." spec: path "/sys"' in first[0].why


def test_a_container_that_ran_and_lost_its_config_map_is_named_by_that() -> None:
    container = waiting("CreateContainerConfigError", "gone", restartCount=1, lastState=ended(), ready=False)
    assert [found.why for found in troubles([pod("Running", container)], [])] == ["c: CreateContainerConfigError: gone"]


def test_an_init_container_is_named_unless_it_has_done_its_work() -> None:
    done = {"name": "i", "state": ended(0, "Completed"), "restartCount": 3, "lastState": ended(), "ready": True}
    failing = {"name": "i", "state": ended(2), "restartCount": 1, "lastState": ended(2), "ready": False}
    waits = waiting("PodInitializing")
    for container, named in ((done, []), (failing, ["i: crashes, exit code 2 (Error)"])):
        item = pod("Pending", waits)
        item["status"]["initContainerStatuses"] = [container]
        assert [trouble.why for trouble in troubles([item], [])] == named


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


def looks(monkeypatch: pytest.MonkeyPatch, *states: tuple[int, dict[str, Any]]) -> None:
    """What kubectl shows at each look: Ready replicas, and the one container; the last state stays."""
    left = list(states)

    def shown(_config: Path, kinds: str, _namespaces: list[str]) -> list[dict[str, Any]]:
        ready, container = left[0]
        if kinds == "events":
            del left[: len(left) > 1]
            return []
        if kinds == "pods":
            return [pod("Running", container)]
        return [workload("Deployment", readyReplicas=ready, updatedReplicas=2)]

    monkeypatch.setattr(readiness, "_all", shown)
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "STEADY_SECONDS", 0.05)
    monkeypatch.setattr(readiness, "kubectl", lambda *_arguments: "no such option: --what")


DEPLOYMENT = {"kind": "Deployment", "metadata": {"namespace": "n", "name": "w"}}
RUNS: dict[str, Any] = {"name": "c", "state": {"running": {}}, "restartCount": 0, "ready": True}


def test_what_is_ready_for_a_moment_and_then_crashes_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = {"name": "c", "state": ended(2), "restartCount": 1, "ready": False}
    looks(monkeypatch, (2, RUNS), (0, crashed))
    with pytest.raises(UserError, match=r"(?s)Deployment/n/w.*c: crashes, exit code 2 \(Error\).*no such option"):
        readiness.wait(Path(), [DEPLOYMENT], seconds=0.2)


def test_what_is_ready_at_each_look_but_starts_again_and_again_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    looks(monkeypatch, *((2, {**RUNS, "restartCount": count}) for count in range(100_000)))
    with pytest.raises(UserError, match="not Ready after 0 s: Deployment/n/w"):
        readiness.wait(Path(), [DEPLOYMENT], seconds=0.2)


def test_the_time_of_a_slow_first_look_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    looks(monkeypatch, *((2, {**RUNS, "restartCount": count}) for count in range(100_000)))
    shown, slow = readiness._all, iter([0.1])

    def slowly(*arguments: Any) -> list[dict[str, Any]]:
        time.sleep(next(slow, 0))
        return shown(*arguments)

    monkeypatch.setattr(readiness, "_all", slowly)
    with pytest.raises(UserError, match="not Ready after 0 s: Deployment/n/w"):
        readiness.wait(Path(), [DEPLOYMENT], seconds=0.2)


def test_what_came_up_after_a_restart_and_stays_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    looks(monkeypatch, (0, {**RUNS, "ready": False}), (2, {**RUNS, "restartCount": 1}))
    readiness.wait(Path(), [DEPLOYMENT], seconds=60)
