"""The DCGM exporter: where it runs, how it gets to the driver, and with which privileges."""

from collections.abc import Callable
from typing import Any

import pytest

from components.dcgm_exporter import APP, COUNTERS, counters, endpoint
from components.dcgm_pod import DRIVER_PATH, node_affinity, pod_spec
from settings import Settings, parse
from settings.gpu import GPU_NODE_LABELS, DcgmSettings
from tools.synth import Program


def settings(distribution: str = "kubeadm", **dcgm: Any) -> Settings:
    cluster = {"name": "test", "distribution": distribution}
    sections = {"cluster": cluster, "alertmanager": {"heartbeat": "none"}, "dcgm": {"mode": "deploy", **dcgm}}
    return parse(sections, "f")


def container(chosen: Settings) -> dict[str, Any]:
    [only] = pod_spec(APP, chosen)["containers"]
    return dict(only)


def env(chosen: Settings) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container(chosen)["env"]}


@pytest.mark.parametrize("distribution", ["eks", "aks", "kubeadm", "local"])
def test_most_distributions_bring_driver_and_runtime(distribution: str) -> None:
    pod = pod_spec(APP, settings(distribution))
    assert "runtimeClassName" not in pod
    assert "driver" not in {volume["name"] for volume in pod["volumes"]}
    assert "LD_LIBRARY_PATH" not in env(settings(distribution))


def test_k3s_needs_the_runtime_class() -> None:
    assert pod_spec(APP, settings("k3s"))["runtimeClassName"] == "nvidia"
    assert "runtimeClassName" not in pod_spec(APP, settings("k3s", runtimeClass=""))
    assert pod_spec(APP, settings("kubeadm", runtimeClass="gpu"))["runtimeClassName"] == "gpu"


def test_gke_needs_the_folder_of_the_driver_and_a_privileged_pod() -> None:
    gke = settings("gke")
    pod = pod_spec(APP, gke)
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "driver"]
    [mount] = [mount for mount in container(gke)["volumeMounts"] if mount["name"] == "driver"]
    assert volume["hostPath"] == {"path": "/home/kubernetes/bin/nvidia", "type": "Directory"}
    assert mount["readOnly"]
    assert env(gke)["LD_LIBRARY_PATH"] == mount["mountPath"] + "/lib64"
    assert container(gke)["securityContext"]["privileged"]
    without = settings("gke", driverPath="")
    assert "privileged" not in container(without)["securityContext"]
    assert len(pod_spec(APP, without)["volumes"]) == len(pod["volumes"]) - 1


def test_the_folder_of_the_driver_may_be_any() -> None:
    pod = pod_spec(APP, settings("kubeadm", driverPath="/opt/nvidia"))
    assert {"name": "driver", "hostPath": {"path": "/opt/nvidia", "type": "Directory"}} in pod["volumes"]
    assert DRIVER_PATH.keys() == {"gke"}


def test_privileges_are_the_least_that_work() -> None:
    usual = container(settings())["securityContext"]
    assert usual["capabilities"] == {"drop": ["ALL"], "add": ["SYS_ADMIN"]}
    assert (usual["allowPrivilegeEscalation"], usual["readOnlyRootFilesystem"]) == (False, True)
    assert "privileged" not in usual
    assert container(settings(profiling=False))["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    pod = pod_spec(APP, settings())
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert [mount["readOnly"] for mount in container(settings())["volumeMounts"] if mount["name"] != "tmp"] == [
        True,
        True,
    ]


def test_without_the_capability_nothing_that_needs_it_is_asked_for() -> None:
    chosen = settings(profiling=False)
    assert "DCGM_FI_PROF" not in counters(chosen.dcgm)
    assert "DCGM_FI_DEV_GPU_UTIL" in counters(chosen.dcgm)
    assert counters(settings().dcgm) == COUNTERS.read_text(encoding="utf-8")
    assert "NVIDIA_MIG_MONITOR_DEVICES" not in env(chosen)
    assert env(settings())["NVIDIA_MIG_MONITOR_DEVICES"] == "all"


def test_any_label_of_gpu_nodes_is_enough_and_taints_do_not_keep_it_away() -> None:
    own = settings(nodeLabels={"example.com/gpu": "yes"})
    terms = node_affinity(own.dcgm)["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    found = [term["matchExpressions"] for term in terms["nodeSelectorTerms"]]
    assert [len(expressions) for expressions in found] == [1] * (len(GPU_NODE_LABELS) + 1), "terms are OR-ed"
    assert found[-1] == [{"key": "example.com/gpu", "operator": "In", "values": ["yes"]}]
    assert pod_spec(APP, own)["tolerations"] == [{"operator": "Exists"}]


def test_labels_of_the_target_win_over_those_of_the_workload() -> None:
    scrape = endpoint(DcgmSettings())
    assert scrape["honorLabels"] is False
    assert [step["sourceLabels"][1] for step in scrape["metricRelabelings"][:2]] == ["hostname", "Hostname"]


def test_an_existing_exporter_is_found_by_namespace_labels_and_port(program_of: Callable[[str], Program]) -> None:
    monitor = program_of("prod").named("dcgm-exporter-monitor")
    [scrape] = monitor.inputs["spec"]["endpoints"]
    assert monitor.inputs["spec"]["namespaceSelector"] == {"matchNames": ["gpu-operator"]}
    assert scrape["port"] == "gpu-metrics"
    assert {"targetLabel": "job", "replacement": APP} in scrape["relabelings"], "rules ask for up of this job"
