"""Every mistake in a stack file gives one clear line: file, key, value, reason, fix."""

from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import pytest
import yaml

from settings import SettingsError, parse
from settings.reader import PROJECT
from tools.synth import ROOT, synthesize

GOOD: dict[str, Any] = {
    "cluster": {"name": "test", "distribution": "kubeadm"},
    "alertmanager": {"heartbeat": "none"},
}
PROBE = {"module": "http_2xx", "targets": [{"service": "web", "address": "https://example.com/"}]}
SLACK = {"kind": "slack", "urlSecret": "slackUrl", "channel": "#a"}
NIGHT = {"start": "22:00", "end": "06:00"}
SILENCE = {
    "matchers": ["alertname=PodPending"],
    "reason": "nodes come on Monday",
    "author": "ada",
    "until": date.today().isoformat(),
}
LATER = (date.today() + timedelta(days=92)).isoformat()
YESTERDAY = (date.today() - timedelta(days=1)).isoformat()


def changed(path: str, value: Any) -> dict[str, Any]:
    """GOOD with one key set; DELETE removes it."""
    sections = deepcopy(GOOD)
    *parents, last = path.split(".")
    place = sections
    for part in parents:
        place = place.setdefault(part, {})
    if value is DELETE:
        place.pop(last)
    else:
        place[last] = value
    return sections


DELETE = object()

BAD: list[tuple[str, Any, str]] = [
    ("cluster", DELETE, "observability:cluster is missing"),
    ("cluster.name", DELETE, "observability:cluster.name is missing"),
    ("cluster.name", "Prod_1", "observability:cluster.name: 'Prod_1'"),
    ("cluster.name", "x" * 41, "observability:cluster.name"),
    ("cluster.name", 7, "observability:cluster.name: 7"),
    ("cluster.distribution", DELETE, "observability:cluster.distribution is missing"),
    ("cluster.distribution", "openshift", "'openshift': input should be 'eks', 'gke'"),
    ("cluster.distribution", "gke-autopilot", "allows no host paths"),
    ("cluster.distribution", "fargate", "runs no DaemonSets"),
    ("cluster.distrbution", "eks", "cluster.distrbution is not a known key; did you mean distribution?"),
    ("cluster.runs", ["postgres"], "observability:cluster.runs.0: 'postgres'"),
    ("cluster.runs", ["flux", "flux"], "names flux twice"),
    ("cluster.runs", ["events"], "observability:cluster.runs.0: 'events'"),
    ("events", {"mode": "on"}, "observability:events.mode: 'on'"),
    ("logAgent", {"program": "fluentd"}, "observability:logAgent.program: 'fluentd'"),
    ("logAgent", {"drop": [{}]}, "names no streams; set namespace, app or container"),
    ("logAgent", {"keep": [{"app": "web"}]}, "observability:logAgent.keep.0.matching is missing"),
    ("logAgent", {"mask": ["("]}, "is not a regular expression"),
    ("logAgent", {"mask": ["a(?=b)"]}, "which RE2 cannot"),
    ("logAgent", {"mask": ["a${b}"]}, "takes for a variable"),
    ("cluster.runs", "flux", "observability:cluster.runs: 'flux'"),
    ("cluster", {"name": "a", "distribution": "eks", "controlPlane": ["etcd"]}, "eks does not expose these parts"),
    ("namespaces", {"main": "same", "agents": "same"}, "main and agents are the same"),
    ("namespaces.main", "Monitoring", "observability:namespaces.main"),
    ("prometheus.retention", "10 days", "'10 days' is not a duration; write for example 30s, 15m or 10d"),
    ("prometheus.retention", "0d", "'0d' is zero"),
    ("prometheus.retention", 10, "observability:prometheus.retention: 10"),
    ("prometheus.replicas", 0, "observability:prometheus.replicas: 0"),
    ("prometheus.replicas", "two", "observability:prometheus.replicas: 'two'"),
    ("prometheus.scrapeInterval", "5m", "scrapeInterval is above 2m"),
    ("prometheus.kubeStateMetricsInterval", "3m", "kubeStateMetricsInterval is above 2m"),
    ("prometheus.volumeSize", "20GB", "'20GB' is not a quantity; write for example 250m, 512Mi or 10Gi"),
    ("prometheus.volumeSize", "-1Gi", "is not a quantity"),
    ("prometheus.externalUrl", "prometheus.example.com", "is not a URL"),
    ("prometheus.externalUrl", "https://user:pw@example.com", "carries credentials"),
    ("prometheus.externalLabels", {"cluster": "x"}, "externalLabels sets cluster"),
    ("prometheus.externalLabels", {"a-b": "x"}, "observability:prometheus.externalLabels"),
    ("prometheus.resources", {"memory": "4Gi"}, "memoryLimit 2Gi is below the request 4Gi"),
    ("prometheus.resources", {"cpu": "lots"}, "resources.cpu: 'lots' is not a quantity"),
    ("prometheus.remoteWrite", [{"url": "x", "name": "hub"}], "prometheus.remoteWrite.0.url: 'x' is not a URL"),
    (
        "prometheus.remoteWrite",
        [{"url": "https://hub.example.com", "name": "hub", "keep": "up|("}],
        "prometheus.remoteWrite.0.keep: 'up|(' is not a regular expression",
    ),
    (
        "prometheus.remoteWrite",
        [{"url": "https://hub.example.com", "name": "hub", "keep": "(?!up).*"}],
        "which RE2 cannot; write it without",
    ),
    ("promtheus", {}, "observability:promtheus is not a known key; did you mean prometheus?"),
    ("grafana.enabled", "perhaps", "observability:grafana.enabled: 'perhaps'"),
    ("loki.replicas", 3, "replicas above 1 need object storage"),
    ("loki", {"replicas": 2, "storage": {"type": "gcs", "bucket": "logs"}}, "replicas 2 cannot keep a quorum"),
    ("loki.retention", "12h", "is not whole hours of at least 24h"),
    ("loki.storage", {"type": "ftp"}, "observability:loki.storage.type: 'ftp' is not known"),
    ("loki.storage", {"type": "s3", "bucket": "logs"}, "observability:loki.storage.region is missing"),
    ("loki.storage", {"type": "s3", "bucket": "Logs!", "region": "x"}, "observability:loki.storage.bucket: 'Logs!'"),
    (
        "loki.storage",
        {"type": "s3", "bucket": "logs", "region": "x", "accessKeyIdSecret": "a"},
        "only one of accessKeyIdSecret and secretAccessKeySecret",
    ),
    ("loki.serviceAccountAnnotations", {"a": "b"}, "storage is filesystem"),
    ("loki.limits", {"ingestionRateMb": 20}, "ingestionBurstSizeMb is below ingestionRateMb"),
    ("loki.limits", {"ingestionRate": 20}, "did you mean ingestionRateMb?"),
    ("alertmanager", DELETE, "observability:alertmanager is missing; give it at least a heartbeat"),
    ("alertmanager", {}, "alertmanager.heartbeat is missing; give urlSecret"),
    ("alertmanager.heartbeat", "no", "'no' is neither none nor {urlSecret: <key>, logsUrlSecret: <key>}"),
    ("alertmanager.heartbeat", {"urlSecret": "beat"}, "heartbeat.logsUrlSecret is missing"),
    ("alertmanager.heartbeat", {"urlSecret": "a", "logsUrlSecret": "a"}, "urlSecret and logsUrlSecret are the same"),
    ("alertmanager.replicas", 2, "replicas 2 protects no better than 3"),
    ("alertmanager.routes", {"critical": "oncall"}, "routes lead to oncall, which is no receiver"),
    ("alertmanager.receivers", {"team": [SLACK]}, "no route leads to receiver team"),
    ("alertmanager.routes", {"teams": {"apps": {"warning": "x"}}}, "routes lead to x, which is no receiver"),
    ("alertmanager.routes", {"teams": {"cooks": {}}}, "alertmanager.routes.teams.cooks"),
    ("alertmanager.routes", {"namespaces": {"Shop": {}}}, "alertmanager.routes.namespaces"),
    ("alertmanager.receivers", {"nobody": [SLACK]}, "no route leads to receiver nobody"),
    (
        "alertmanager",
        {"heartbeat": "none", "receivers": {"nobody": [SLACK]}, "routes": {"info": "nobody"}},
        "receiver nobody has a name that is used already",
    ),
    ("alertmanager.quietHours", {"team": [NIGHT]}, "quietHours names team, which is no receiver"),
    ("alertmanager.quietHours", {"team": [{**NIGHT, "start": "24:00"}]}, "quietHours.team.0.start: '24:00'"),
    ("alertmanager.quietHours", {"team": [{**NIGHT, "timezone": "Berlin"}]}, "'Berlin' is not a time zone"),
    ("alertmanager.maintenance", {"x": {"reason": "weekly updates", "windows": []}}, "maintenance.x.windows"),
    ("alertmanager.silences", [{**SILENCE, "until": LATER}], "is more than 90 days away"),
    ("alertmanager.silences", [{**SILENCE, "reason": "noisy"}], "silences.0.reason: 'noisy'"),
    ("alertmanager.silences", [{**SILENCE, "matchers": ["alertname"]}], "'alertname', which is no matcher"),
    ("alertmanager.silences", [{**SILENCE, "matchers": ["namespace=~.*"]}], "could mute everything"),
    ("alertmanager.silences", [{**SILENCE, "matchers": ["alertname=Watchdog"]}], "mutes a Watchdog"),
    ("alertmanager.silences", [{**SILENCE, "since": LATER}], "is not before until"),
    ("alertmanager.receivers", {"team": [{**SLACK, "kind": "slak"}]}, "'slak' is not known; did you mean slack?"),
    ("alertmanager.receivers", {"team": [{"kind": "slack", "channel": "#a"}]}, "0.urlSecret is missing"),
    ("alertmanager.receivers", {"team": [{**SLACK, "channel": "alerts"}]}, "0.channel: 'alerts'"),
    ("alertmanager.receivers", {"team": [{**SLACK, "urlSecret": "https://x"}]}, "0.urlSecret: 'https://x'"),
    (
        "alertmanager",
        {"heartbeat": "none", "receivers": {"a": []}, "routes": {"info": "a"}},
        "receiver a has no channel",
    ),
    ("blackbox.probes", {"web": {**PROBE, "module": "http_3xx"}}, "module http_3xx does not exist"),
    ("blackbox.probes", {"web": {**PROBE, "interval": "5s"}}, "is not above the timeout of http_2xx (10s)"),
    ("blackbox.probes", {"web": {**PROBE, "module": "tcp_connect"}}, "does not suit tcp_connect"),
    ("blackbox.probes", {"web": {**PROBE, "targets": []}}, "observability:blackbox.probes.web.targets"),
    ("dcgm.mode", "auto", "observability:dcgm.mode: 'auto'"),
    ("alerts.tune", {"HighCPUUsage": {"for": "5 m"}}, "alerts.tune.HighCPUUsage.for: '5 m' is not a duration"),
    ("alerts.tune", {"HighCPUUsage": {"severity": "high"}}, "alerts.tune.HighCPUUsage.severity: 'high'"),
    (
        "alerts.tune",
        {"HighCPUUsage": {"disabled": {"reason": "noisy batch jobs", "until": YESTERDAY}}},
        "is over; remove the entry",
    ),
    ("alerts.tune", {"HighCPUUsage": {"disabled": {"until": "2099-01-01"}}}, "disabled.reason is missing"),
    ("kubePrometheusStack.crds", "maybe", "observability:kubePrometheusStack.crds: 'maybe'"),
    ("kubePrometheusStack", {"crds": "existing", "optionalCrds": ["thanosrulers"]}, "leave one of them out"),
    (
        "kubePrometheusStack.chart",
        {"repository": "https://charts.example.com"},
        "location must be the chart's name in it",
    ),
    ("kubePrometheusStack.chart", {"version": "latest"}, "kubePrometheusStack.chart.version: 'latest'"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD, ids=[f"{i}-{bad[0]}" for i, bad in enumerate(BAD)])
def test_mistake_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse(changed(path, value), "Pulumi.test.yaml")
    lines = str(error.value).splitlines()
    assert lines[0] == "The stack file has mistakes:"
    assert all(line.startswith("  Pulumi.test.yaml: observability:") for line in lines[1:])
    assert message in str(error.value)


def test_all_mistakes_at_once() -> None:
    sections = {
        "cluster": {"name": "A"},
        "loki": {"retention": "x"},
        "lokki": {},
        "alertmanager": {"heartbeat": "none"},
    }
    with pytest.raises(SettingsError) as error:
        parse(sections, "f")
    assert len(str(error.value).splitlines()) == 5


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_stack_files_are_good(stack: str) -> None:
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    settings = parse(
        {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}, "f", check_secrets=False
    )
    assert settings.cluster.name == stack


def test_missing_secret_is_named() -> None:
    beats = {"urlSecret": "beat", "logsUrlSecret": "logsBeat"}
    config = {f"{PROJECT}:{key}": value for key, value in changed("alertmanager.heartbeat", beats).items()}
    with pytest.raises(SettingsError, match="observability:beat is missing; set it with: pulumi config set --secret"):
        synthesize("test", config)


def test_unknown_key_may_be_a_misspelt_secret() -> None:
    beats = {"urlSecret": "heartbeatUrl", "logsUrlSecret": "heartbeatLogsUrl"}
    sections = changed("alertmanager.heartbeat", beats)
    with pytest.raises(SettingsError, match="heartbeatUrI is not a known key; did you mean heartbeatUrl"):
        parse(sections, "f", {*sections, "heartbeatUrI", "heartbeatLogsUrl"})


def test_secret_inside_a_section_is_refused() -> None:
    config = {f"{PROJECT}:{key}": value for key, value in GOOD.items()}
    config[f"{PROJECT}:loki"] = {"storage": {"secure": "v1:abc"}}
    with pytest.raises(SettingsError, match=r"observability:loki\.storage"):
        synthesize("test", config)


def test_partial_resources_keep_the_other_defaults() -> None:
    resources = parse(changed("loki.resources", {"memoryLimit": "3Gi"}), "f").loki.resources
    assert resources.manifest() == {
        "requests": {"cpu": "250m", "memory": "512Mi"},
        "limits": {"memory": "3Gi", "cpu": "1"},
    }


def test_settings_are_frozen() -> None:
    settings = parse(GOOD, "f")
    with pytest.raises(ValueError, match="frozen"):
        settings.loki.retention = "1d"  # type: ignore[misc]
