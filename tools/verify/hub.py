"""Hub and spoke: what a cluster sends to its hub, and what a hub gets."""

from typing import Any
from urllib.parse import urlencode

from components import central_logs
from components.alert_rules import HUB
from components.remote_write import ALIVE
from components.rule_files import Selection
from settings import Settings
from tools.reach import Part
from tools.verify.result import Result, some
from tools.verify.rules import differences, failing, groups_of, loaded

LATE_SECONDS = 120
"""Of samples on their way: two scrapes, a batch and a try again."""
WRITTEN = "time() - (min by (remote_name) (prometheus_remote_storage_queue_highest_sent_timestamp_seconds) > 0)"
"""Of the replica that is behind most. Without any sample sent the time is 0."""
RECEIVED = "sum by (tenant) (increase(loki_distributor_lines_received_total[10m])) > 0"
SENT = f"""
sum by (host) (
  increase(promtail_sent_entries_total{{job="{central_logs.APP}"}}[5m])
  or increase(loki_write_sent_entries_total{{job="{central_logs.APP}"}}[5m])
)"""

_PUSHES = f'loki_write_request_duration_seconds_count{{job="{central_logs.EVENTS}"}}'
EVENTS = f"sum by (status_code) (({_PUSHES} - {_PUSHES} offset 5m) or {_PUSHES}) > 0"
"""Pushes of five minutes. `increase` would not see the first one, which may be the only one of a quiet cluster."""


def writing(prometheus: Part, settings: Settings) -> Result:
    """Each target of the remote write has got samples within the last two minutes."""
    late = {labels.get("remote_name", ""): value for labels, value in _values(prometheus, WRITTEN)}
    faults, seen = [], []
    for target in settings.prometheus.remote_write:
        if target.name not in late:
            faults.append(f"{target.name} has got nothing yet")
        elif late[target.name] > LATE_SECONDS:
            faults.append(f"{target.name} got its newest sample {late[target.name]:.0f} s ago")
        else:
            seen.append(f"{target.name} is {late[target.name]:.0f} s behind")
    todo = "Prometheus' log says what the receiver answers; the password of prometheus.remoteWrite"
    return Result("", not faults, some(faults or seen), todo)


def sending(prometheus: Part, settings: Settings) -> Result:
    """The second log agent has sent lines within the last five minutes, and not all pushes of events have failed."""
    sent = sum(value for _, value in _values(prometheus, SENT))
    seen = f"{sent:.0f} lines were taken by the hub in 5 minutes" if sent else "the hub took no line in 5 minutes"
    todo = f"the log of the DaemonSet {central_logs.APP}"
    if not central_logs.sends_events(settings):
        return Result("", sent > 0, seen, todo)
    # A quiet cluster has no events. -1 is a push without any answer.
    codes = sorted({labels.get("status_code", "") for labels, _ in _values(prometheus, EVENTS)})
    refused = bool(codes) and not any(code.startswith("2") for code in codes)
    if refused:
        seen += f"; it took no event, answers: {some(codes)}"
    return Result("", sent > 0 and not refused, seen, f"{todo}, and of the Deployment {central_logs.EVENTS}")


def clusters(hub: Part) -> Result:
    """The hub gets samples of other clusters, and of each that it got some of within the last seven days."""
    known = _clusters(hub, f"count by (cluster) (present_over_time({ALIVE}[7d]))")
    alive = _clusters(hub, f"count by (cluster) ({ALIVE})")
    silent = sorted(known - alive)
    todo = "prometheus.remoteWrite of the cluster, its Prometheus' log, the ingress before the hub"
    if not alive:
        return Result("", False, "no cluster writes to the hub", todo)
    seen = f"{len(alive)} write: {some(sorted(alive))}" + (f"; silent: {some(silent)}" if silent else "")
    return Result("", not silent, seen, todo)


def rules(hub: Part, selection: Selection) -> Result:
    """The hub's Prometheus runs its rules."""
    files = groups_of(file for file in selection.files if file.name == HUB)
    groups = hub.read("/api/v1/rules")["data"]["groups"]
    faults = [*differences(files, loaded(groups)), *failing(groups)]
    seen = f"{sum(names.total() for names in files.values())} rules in {len(files)} groups of the files"
    todo = "the label observability/evaluator of the PrometheusRule hub; the log of the hub's Prometheus"
    return Result("", not faults, some(faults, 3) if faults else seen, todo)


def senders(prometheus: Part, settings: Settings) -> Result:
    """Loki has got lines of every sender within the last ten minutes."""
    alive = {labels.get("tenant", "") for labels, _ in _values(prometheus, RECEIVED)}
    wanted = [sender.cluster for sender in settings.hub.log_senders]
    silent = [name for name in wanted if name not in alive]
    seen = f"lines of {len(wanted) - len(silent)} of {len(wanted)} clusters came in 10 minutes"
    todo = "centralLogs of the cluster, the log of its DaemonSet central-logs, the log of loki-gateway here"
    return Result("", not silent, seen + (f"; none of {some(silent)}" if silent else ""), todo)


def _clusters(hub: Part, query: str) -> set[str]:
    return {labels.get("cluster", "") for labels, _ in _values(hub, query)}


def _values(prometheus: Part, query: str) -> list[tuple[dict[str, Any], float]]:
    found = prometheus.read(f"/api/v1/query?{urlencode({'query': query})}")["data"]["result"]
    return [(item["metric"], float(item["value"][1])) for item in found]
