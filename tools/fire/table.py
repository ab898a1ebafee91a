"""All causes, and why the other alerts have none."""

from tools.fire import control_plane, logs, nodes, probes, storage, workloads
from tools.fire.cause import Cause

CAUSES: dict[str, Cause] = {
    **workloads.CAUSES,
    **storage.CAUSES,
    **nodes.CAUSES,
    **probes.CAUSES,
    **logs.CAUSES,
    **control_plane.CAUSES,
}

NOT_HERE = "the local cluster does not run it"
ALWAYS = "it always fires: see the heartbeats of the inbox"
HARMS = "causing it would take the stack itself down, or starve the machine"
LONG = "it needs a history of hours"
WHY_NOT: dict[str, str] = {
    "Watchdog": ALWAYS,
    "LogsWatchdog": ALWAYS,
    "APIServerErrorsHigh": HARMS,
    "APIServerLatencyHigh": HARMS,
    "AlertmanagerNotificationsFailing": "its message would have to come by what fails",
    "CertManagerACMERateLimited": NOT_HERE,
    "CertificateExpiringSoon": NOT_HERE,
    "CertificateNotReady": NOT_HERE,
    "CoreDNSDown": "Alertmanager finds the inbox by DNS: nobody could be told",
    "CoreDNSErrorsHigh": HARMS,
    "CoreDNSImportGlobWarning": "the local CoreDNS imports no file",
    "CoreDNSLatencyHigh": HARMS,
    "CoreDNSUpstreamUnhealthy": "the local CoreDNS has no resolver behind it",
    "CRDConversionWebhookFailing": HARMS,
    "DeploymentRolledBack": LONG,
    "DeprecatedAPIInUse": "no API of this version has a date of removal",
    "DiskSpaceLow": HARMS,
    "EndpointResponseTimeHigh": "the local web server answers at once, or not at all",
    "GPUIdle": LONG,
    "GPULost": "the recording has one card, and the exporter without any is another alert: GPUMetricsMissing",
    "GPUUnhealthy": "fake nodes have no device plugin; it needs a status that only a kubelet writes",
    "GPUXidInKernelLog": "the local node has no journal",
    "GrafanaAuthenticationFailure": NOT_HERE,
    "GrafanaDatasourceErrors": NOT_HERE,
    "GrafanaLoginRedirect": NOT_HERE,
    "HighMemoryUsage": HARMS,
    "KubeletDown": HARMS,
    "LeaderElectionUnhealthy": NOT_HERE,
    "LogsMissing": HARMS,
    "LokiCompactionStalled": LONG,
    "LokiRequestErrors": HARMS,
    "LokiRuleEvaluationFailing": HARMS,
    "PersistentVolumeReclaimStuck": "volumes of the local class fail instead: PersistentVolumeFailed",
    "PodRestartLoop": "six slow restarts take an hour; quick ones are told as PodCrashLooping",
    "PrometheusDown": "a dead Prometheus cannot tell: its heartbeat stops",
    "PrometheusMemoryHigh": HARMS,
    "PrometheusRuleEvaluationFailing": HARMS,
    "PrometheusStartupDelayed": LONG,
    "PrometheusUncleanShutdown": "its severity is info: it comes with the daily digest",
    "PrometheusWALReplayInProgress": LONG,
    "PromtailDroppedEntries": HARMS,
    "PromtailFileNotTailed": HARMS,
    "PromtailRequestErrors": HARMS,
}
