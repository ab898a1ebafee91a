"""Faults of nodes, on fake nodes of their own, and of the GPU in the recording."""

import json
from datetime import UTC, datetime

from components.dcgm_exporter import APP
from tools.cluster.fake_nodes import MANAGED
from tools.fire.cause import Cause, Ground, controller, shell
from tools.stand_in.dcgm import NAME, RECORDED

BUSY = shell("for i in $(seq $(grep -c ^processor /proc/cpuinfo)); do (while :; do :; done) & done; wait")


def add_node(ground: Ground, conditions: dict[str, str], **resources: str) -> None:
    """A node without a kubelet; its status is written here."""
    size = {"cpu": "1", "memory": "1Gi", "pods": "10", **resources}
    known = {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", **conditions}
    listed = [{"type": kind, "status": status, "reason": "Fault"} for kind, status in known.items()]
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": ground.namespace, "labels": {"type": "kwok"}},
        "spec": {"taints": [{"key": MANAGED, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"capacity": size, "allocatable": size, "conditions": listed},
    }
    ground.kubectl("create", "--filename=-", stdin=json.dumps(node))
    renew(ground)


def renew(ground: Ground) -> None:
    """Renew the lease of the node of this ground, as its kubelet would."""
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": ground.namespace, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": ground.namespace, "leaseDurationSeconds": 40, "renewTime": now()},
    }
    ground.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(lease))


def now() -> str:
    """The time as Kubernetes writes it, with microseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def remove_node(ground: Ground) -> None:
    """Remove the node of this ground."""
    both = [f"{kind}/{ground.namespace}" for kind in ("node", "lease")]
    ground.kubectl("delete", *both, "--namespace=kube-node-lease", "--ignore-not-found")


def pressed(condition: str, status: str = "True") -> Cause:
    """A node with this condition."""
    return Cause(
        f"a node of its own whose status says {condition} {status}",
        start=lambda ground: add_node(ground, {condition: status}),
        keep=renew,
        stop=remove_node,
    )


def cordon(ground: Ground) -> None:
    """A node of its own, cordoned."""
    add_node(ground, {})
    ground.kubectl("cordon", ground.namespace)


def record(metric: str, value: str, **labels: str) -> Cause:
    """The recording of the GPU with another value of one metric."""

    def change(ground: Ground) -> None:
        write(ground, [_with(line, metric, value, labels) for line in current(ground)])

    def restore(ground: Ground) -> None:
        # Only this metric: other causes may have changed others.
        [healthy] = [line for line in RECORDED.read_text(encoding="utf-8").splitlines() if _is(line, metric)]
        write(ground, [healthy if _is(line, metric) else line for line in current(ground)])

    return Cause(f"the recorded {metric} at {value} (recorded: no GPU is here)", start=change, stop=restore)


def _with(line: str, metric: str, value: str, labels: dict[str, str]) -> str:
    if not _is(line, metric):
        return line
    text = line.rpartition(" ")[0]
    for name, wanted in labels.items():
        before, _, rest = text.partition(f'{name}="')
        text = f'{before}{name}="{wanted}"{rest.partition(chr(34))[2]}'
    return f"{text} {value}"


def _is(line: str, metric: str) -> bool:
    return line.startswith(f"{metric}{{")


def current(ground: Ground) -> list[str]:
    """Lines of the recording as it is served now."""
    place = f"--namespace={ground.access.namespaces.agents}"
    found = json.loads(ground.kubectl("get", "configmap", NAME, place, "--output=json"))
    return str(found["data"]["metrics"]).splitlines()


def write(ground: Ground, lines: list[str]) -> None:
    """Change the recording; a new annotation makes kubelet bring it into the pod at once."""
    patch = json.dumps({"data": {"metrics": "\n".join(lines) + "\n"}})
    place = f"--namespace={ground.access.namespaces.agents}"
    ground.kubectl("patch", "configmap", NAME, place, "--type=merge", f"--patch={patch}")
    selected = f"--selector=app.kubernetes.io/name={APP}"
    ground.kubectl("annotate", "pods", selected, place, f"observability/recorded-at={now()}", "--overwrite")


CAUSES: dict[str, Cause] = {
    "NodeNotReady": pressed("Ready", "False"),
    "NodeMemoryPressure": pressed("MemoryPressure"),
    "NodeDiskPressure": pressed("DiskPressure"),
    "NodePIDPressure": pressed("PIDPressure"),
    "NodeCordoned": Cause("a cordoned node of its own", start=cordon, keep=renew, stop=remove_node),
    "KubeletHeartbeatLost": Cause(
        "a node of its own whose lease nobody renews", start=lambda ground: add_node(ground, {}), stop=remove_node
    ),
    "HighCPUUsage": Cause("a busy loop for each processor of this machine", [controller("Deployment", BUSY)]),
    "GPUHighTemperature": record("DCGM_FI_DEV_GPU_TEMP", "93"),
    "GPUMemoryFull": record("DCGM_FI_DEV_FB_FREE", "400"),
    "GPUPowerHigh": record("DCGM_FI_DEV_POWER_USAGE", "396"),
    "GPUXidError": record("DCGM_FI_DEV_XID_ERRORS", "79", err_code="79", err_msg="GPU has fallen off the bus"),
    "GPUXidApplicationError": record(
        "DCGM_FI_DEV_XID_ERRORS", "13", err_code="13", err_msg="Graphics Engine Exception"
    ),
    "GPURowRemapFailure": record("DCGM_FI_DEV_ROW_REMAP_FAILURE", "1"),
    "GPUUncorrectableECCErrors": record("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "2"),
    # Ten minutes of throttling at once.
    "GPUThermalThrottling": record("DCGM_FI_DEV_THERMAL_VIOLATION", "600000000000"),
    "GPUMetricsMissing": Cause(
        "a node of its own that offers a GPU which nothing measures",
        start=lambda ground: add_node(ground, {}, **{"nvidia.com/gpu": "1"}),
        keep=renew,
        stop=remove_node,
    ),
}
NODE_LABEL = {name for name in CAUSES if name.startswith(("Node", "Kubelet"))} | {"GPUMetricsMissing"}
"""Alerts whose label `node` is the name of the ground."""
