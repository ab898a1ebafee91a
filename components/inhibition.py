"""Which alert is the cause of which: while a cause fires, its effects are not told.

An edge is dead unless both alerts carry every label of `equal`; tests hold each of them against the labels that the
alerts really have, and look for circles.
"""

from dataclasses import dataclass, field
from typing import Any

NODE = ("cluster", "node")
POD = ("cluster", "namespace", "pod")
INSTANCE = ("cluster", "instance")
CLUSTER = ("cluster",)


@dataclass(frozen=True)
class Edge:
    """`cause` mutes each of `effects` where the labels of `equal` have the same values."""

    cause: str
    effects: tuple[str, ...]
    equal: tuple[str, ...]
    why: str
    cause_labels: dict[str, str] = field(default_factory=dict)
    """Further labels that the cause must have."""
    effect_labels: dict[str, str] = field(default_factory=dict)
    """Further labels that the effects must have."""


POD_ALERTS = (
    "PodCrashLooping",
    "PodRestartLoop",
    "PodImagePullFailing",
    "ContainerConfigError",
    "ContainerStuckCreating",
    "PodPending",
    "PodEvicted",
    "LivenessProbeFailing",
    "ReadinessProbeFailing",
    "StartupProbeFailing",
    "PersistentVolumeMountFailing",
)
PROMTAIL_ALERTS = ("PromtailRequestErrors", "PromtailDroppedEntries", "PromtailFileNotTailed")
CONTROLLER_ALERTS = ("LeaderElectionUnhealthy", "OperatorReconcileErrors", "OperatorReconcilerErrors")

EDGES: tuple[Edge, ...] = (
    # Nodes, and what runs on them.
    Edge("NodeNotReady", ("KubeletDown", "KubeletHeartbeatLost"), NODE, "three signs of one lost node"),
    Edge("NodeNotReady", POD_ALERTS, NODE, "its pods are moved away or lost"),
    Edge("NodeNotReady", ("NodeMemoryPressure", "NodeDiskPressure", "NodePIDPressure"), NODE, "its state is unknown"),
    Edge("NodeNotReady", ("GPUMetricsMissing", "VolumeOperationErrors"), NODE, "they are asked of the kubelet"),
    Edge("NodeNotReady", PROMTAIL_ALERTS, NODE, "its agent is cut off"),
    Edge("KubeletDown", ("LivenessProbeFailing", "VolumeOperationErrors"), NODE, "it probes and mounts"),
    Edge("CNIPluginMissing", ("ContainerStuckCreating",), NODE, "without network no container starts"),
    Edge("NodeDiskPressure", ("PodEvicted",), NODE, "the kubelet makes room"),
    Edge("NodeMemoryPressure", ("PodEvicted",), NODE, "the kubelet makes room"),
    Edge("GPUXidError", ("GPUXidInKernelLog",), NODE, "the same error from the kernel's log"),
    # The API server, and who needs it.
    Edge(
        "MonitoringTargetMissing",
        ("APIServerErrorsHigh", "APIServerLatencyHigh", *CONTROLLER_ALERTS, "FluxReconciliationFailing"),
        CLUSTER,
        "nothing answers in its place",
        cause_labels={"missing_job": "apiserver"},
    ),
    Edge(
        "APIServerErrorsHigh",
        ("APIServerLatencyHigh", *CONTROLLER_ALERTS, "FluxReconciliationFailing", "ControllerManagerBacklog"),
        CLUSTER,
        "controllers live from the API",
    ),
    Edge("AdmissionWebhookFailing", ("AdmissionWebhookErrorsInLogs",), CLUSTER, "the callers log it"),
    Edge("FluxControllerDown", ("FluxReconciliationFailing",), CLUSTER, "nobody reconciles"),
    # Storage before pods.
    Edge("PersistentVolumeMountFailing", ("ContainerStuckCreating", "PodPending"), POD, "the pod waits for its volume"),
    Edge("PersistentVolumeMountFailing", ("PersistentVolumeMountFailures",), POD[:2], "the same from the events"),
    Edge("PersistentVolumeClaimPending", ("VolumeProvisioningFailed",), POD[:2], "the same from the events"),
    Edge("NFSServerNotResponding", ("PersistentVolumeMountFailing", "VolumeOperationErrors"), NODE, "its server"),
    Edge(
        "PostgreSQLDiskFull",
        ("PersistentVolumeFillingUp",),
        ("cluster", "namespace", "persistentvolumeclaim"),
        "critical before warning",
    ),
    # Workloads: the controller before its parts.
    Edge(
        "WorkloadDown",
        ("DeploymentRolloutStuck", "DeploymentUnavailable", "DeploymentReplicaFailure", "TunnelReplicasLow"),
        ("cluster", "namespace", "deployment"),
        "critical before warning",
    ),
    Edge(
        "WorkloadDown",
        ("StatefulSetReplicasMismatch", "StatefulSetUpdateStuck"),
        ("cluster", "namespace", "statefulset"),
        "critical before warning",
    ),
    Edge(
        "WorkloadDown",
        ("HomeAssistantPodDown", "TeslaMateDown"),
        ("cluster", "namespace", "deployment"),
        "the same Deployment",
    ),
    Edge("DeploymentUnavailable", ("DeploymentRolloutStuck",), ("cluster", "namespace", "deployment"), "its cause"),
    Edge("PodUnschedulable", ("PodPending",), POD, "it waits for a node"),
    Edge("PodCrashLooping", ("PodRestartLoop",), (*POD, "container"), "the same restarts"),
    Edge("LivenessProbeFailing", ("ReadinessProbeFailing",), (*POD, "container"), "it is restarted anyway"),
    # Databases and brokers before their clients.
    Edge("PostgreSQLDown", ("PostgreSQLHighConnections",), ("cluster", "namespace", "instance"), "it is gone"),
    Edge("PostgreSQLDown", ("DatabaseConnectionFailures",), CLUSTER, "its clients cannot connect"),
    Edge(
        "PostgreSQLDown", ("TeslaMateDown", "TeslaMateDataCollectionStopped", "TeslaMateLogsSilent"), CLUSTER, "client"
    ),
    Edge(
        "PostgreSQLDown",
        ("ServiceDependencyDown",),
        CLUSTER,
        "the same from outside",
        effect_labels={"service": "postgres(ql)?"},
    ),
    Edge("MQTTBrokerDown", ("MQTTMessagesDropped",), ("cluster", "namespace", "instance"), "it is gone"),
    Edge(
        "MQTTBrokerDown",
        ("ServiceDependencyDown",),
        CLUSTER,
        "the same from outside",
        effect_labels={"service": "mosquitto"},
    ),
    Edge("TeslaMateDown", ("TeslaMateDataCollectionStopped", "TeslaMateLogsSilent"), CLUSTER, "it does not run"),
    # What names the software comes before the same probe by its general name: it is told first, and knows what to do.
    Edge(
        "TeslaMateDown",
        ("EndpointDown", "EndpointUnexpectedStatus", "ServiceEndpointDown"),
        CLUSTER,
        "the same probe",
        effect_labels={"service": "teslamate"},
    ),
    Edge("TunnelRegistrationFailing", ("TunnelConnectionsLow",), POD, "refused connections are few"),
    # Endpoints before their slowness, names before who asks for them.
    Edge(
        "ServiceEndpointDown",
        ("EndpointDown", "EndpointUnexpectedStatus"),
        ("cluster", "service"),
        "all of them are down",
    ),
    # A status of 400 or more fails the probe as well: who is told of the status knows more.
    Edge("EndpointUnexpectedStatus", ("EndpointDown", "EndpointAvailabilityLow"), INSTANCE, "the reason of it"),
    Edge(
        "EndpointDown",
        ("EndpointResponseTimeHigh", "EndpointAvailabilityLow", "CertificateProbeFailing"),
        INSTANCE,
        "it does not answer at all",
    ),
    Edge("HostUnreachable", ("ServiceDependencyDown",), ("cluster", "service"), "its ports are gone with it"),
    Edge("SSLCertificateExpired", ("SSLCertificateExpiringSoon",), INSTANCE, "critical before warning"),
    Edge("CoreDNSDown", ("CoreDNSErrorsHigh", "EndpointDNSFailing", "DNSResolutionFailures"), CLUSTER, "no names"),
    Edge("CoreDNSErrorsHigh", ("CoreDNSLatencyHigh", "DNSResolutionFailures"), CLUSTER, "its clients log it"),
    # The monitoring itself.
    Edge("LokiRequestErrors", ("PromtailRequestErrors", "LogsMissing"), CLUSTER, "Loki refuses what is pushed"),
    Edge("LogsMissing", ("ClusterLogsStopped",), CLUSTER, "Loki gets no lines at all"),
    Edge(
        "MonitoringTargetMissing",
        ("BlackboxProbesMissing",),
        CLUSTER,
        "nobody probes",
        cause_labels={"missing_job": "blackbox-exporter"},
    ),
)


def inhibit_rules() -> list[dict[str, Any]]:
    """The `inhibit_rules` of alertmanager.yaml, one an edge."""
    return [_rule(edge) for edge in EDGES]


def _rule(edge: Edge) -> dict[str, Any]:
    effects = "|".join(edge.effects)
    # Two alerts that both lack a label count as equal: a cause without it must mute nothing.
    present = [f'{label}!=""' for label in edge.equal]
    return {
        "source_matchers": [f'alertname="{edge.cause}"', *_matchers(edge.cause_labels), *present],
        "target_matchers": [
            f'alertname=~"{effects}"' if len(edge.effects) > 1 else f'alertname="{effects}"',
            *_matchers(edge.effect_labels),
        ],
        "equal": list(edge.equal),
    }


def _matchers(labels: dict[str, str]) -> list[str]:
    return [f'{name}=~"{value}"' for name, value in labels.items()]
