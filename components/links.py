"""Addresses in messages, as Go templates: runbook, dashboard, logs, and the form of a new silence.

Only label values of harmless characters get into an address; one with others is left out of it.
"""

from settings import Settings

NAMESPACE = {"namespace": "namespace"}
INSTANCE = {"instance": "instance"}
NODE = {"node": "node"}
DASHBOARDS: dict[str, tuple[str, dict[str, str]]] = {
    "workloads": ("kubernetes-failures", NAMESPACE),
    "resources": ("workloads", NAMESPACE),
    "events": ("kubernetes-failures", NAMESPACE),
    "nodes": ("nodes", NODE),
    "storage": ("dependencies", {}),
    "nfs": ("dependencies", {}),
    "network": ("dependencies", {}),
    "coredns": ("dependencies", {}),
    "calico": ("dependencies", {}),
    "blackbox": ("probes", {"service": "service"}),
    "cert-manager": ("certificates", {"namespace": "exported_namespace"}),
    "gpu": ("gpu", NODE),
    "monitoring": ("monitoring-stack", NAMESPACE),
    "remote-write": ("monitoring-stack", NAMESPACE),
    "central-logs": ("loki-promtail", {}),
    "hub-logs": ("loki-promtail", {}),
    "grafana": ("monitoring-stack", NAMESPACE),
    "flux": ("flux", {"namespace": "exported_namespace"}),
    "argo-cd": ("argo-cd", {"project": "project"}),
    "postgresql": ("postgresql", INSTANCE),
    "mqtt": ("mqtt", INSTANCE),
}
"""Dashboard of a component: its uid, and its variables with the labels that fill them."""
OTHER = "alerts-overview"
SAFE = "^[A-Za-z0-9._:/-]{1,100}$"
CONDITIONS = {
    "runbook": "match `^https?://[^\\s<>\"'|()]{1,300}$` .CommonAnnotations.runbook_url",
    "dashboard": "true",
    "logs": f"match `{SAFE}` .CommonLabels.namespace",
    "silence": f"match `{SAFE}` .CommonLabels.alertname",
}
"""When a message has the link."""
# An hour before the first alert: the time in which the fault grew.
BEGIN = "((index .Alerts 0).StartsAt.Add -3600000000000).UnixMilli"


def addresses(settings: Settings) -> dict[str, str]:
    """Template of each address that this stack can give, by the names of `CONDITIONS`."""
    grafana, alertmanager = settings.grafana.external_url, settings.alertmanager.external_url
    result = {"runbook": "{{ .CommonAnnotations.runbook_url }}"}
    if grafana and settings.grafana.enabled:
        result["dashboard"] = f"{grafana}/d/{_dashboard()}&from={{{{ {BEGIN} }}}}&to=now"
        result["logs"] = f"{grafana}/explore?schemaVersion=1&orgId=1&panes={_panes()}"
    if alertmanager:
        result["silence"] = f"{alertmanager}/#/silences/new?filter={_filter()}"
    return result


def _if(condition: str, then: str) -> str:
    return f"{{{{ if {condition} }}}}{then}{{{{ end }}}}"


def _safe(label: str) -> str:
    return f"(match `{SAFE}` .CommonLabels.{label})"


def _dashboard() -> str:
    """Path and query: the uid by component, the variables that its dashboard has."""
    uid = "{{ else }}".join(_open(component, uid) for component, (uid, _) in DASHBOARDS.items())
    ends = "{{ end }}" * len(DASHBOARDS)
    variables: dict[tuple[str, str], list[str]] = {}
    for component, (_, labels) in DASHBOARDS.items():
        for pair in labels.items():
            variables.setdefault(pair, []).append(component)
    query = _if(_safe("cluster"), _variable("cluster", "cluster"))
    for (name, label), components in variables.items():
        those = f"(match `^({'|'.join(components)})$` .CommonLabels.component)"
        query += _if(f"and {those} {_safe(label)}", _variable(name, label))
    return f"{uid}{{{{ else }}}}{OTHER}{ends}?orgId=1{query}"


def _open(component: str, uid: str) -> str:
    return f'{{{{ if eq .CommonLabels.component "{component}" }}}}{uid}'


def _variable(name: str, label: str) -> str:
    return f"&var-{name}={{{{ .CommonLabels.{label} | urlquery }}}}"


def _panes() -> str:
    """State of Grafana's Explore: Loki, and the lines of the alert's namespace and pod."""
    expr = r"{cluster=\"%s\",namespace=\"%s\"%s}"
    query = '{"refId":"A","datasource":{"type":"loki","uid":"loki"},"expr":"' + expr + '"}'
    panes = '{"a":{"datasource":"loki","queries":[' + query + '],"range":{"from":"%d","to":"now"}}}'
    pod = "{{ $pod := `` }}" + _if(_safe("pod"), r"{{ $pod = printf `,pod=\"%s\"` .CommonLabels.pod }}")
    return f"{pod}{{{{ printf `{panes}` .CommonLabels.cluster .CommonLabels.namespace $pod {BEGIN} | urlquery }}}}"


def _filter() -> str:
    """Matchers for the form of a new silence: the group that the message is about."""
    parts = '{{ $filter := printf `alertname="%s"` .CommonLabels.alertname }}'
    for label in ("cluster", "namespace"):
        more = f'{{{{ $filter = printf `%s,{label}="%s"` $filter .CommonLabels.{label} }}}}'
        parts += _if(_safe(label), more)
    return parts + "{{ printf `{%s}` $filter | urlquery }}"
