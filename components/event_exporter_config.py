"""The event exporter's configuration: Alloy reads Kubernetes events, and its stages write them as our rules read them.

Alloy, because it is maintained, sends each update of an event (other exporters send an event once, and with it only
its first count), keeps what it could not send, and reports failed pushes.
"""

from typing import Any

from components import addresses
from components.alloy_syntax import Block, Reference, stages, text
from components.log_agent_client import alloy_write
from settings import Settings

APP = "event-exporter"
PASSWORD_FILE = "/etc/alloy/secrets/password"  # noqa: S105 (a path, not a password)
FIELDS = (
    *("reason", "type", "msg", "count", "kind", "name"),
    *("sourcecomponent", "sourcehost", "reportingcontroller", "reportinginstance"),
)
"""What the rules need of the JSON line that `loki.source.kubernetes_events` writes (Alloy, event_controller.go)."""


def _json(*names: str) -> str:
    first, *others = (f".{name}" for name in names)
    return f'{{{{ {first} | {"".join(f"default {other} | " for other in others)}default "" | toRawJson }}}}'


# `namespace` is a label of the entry, that of the object. Events of the new API come without a count, and name who
# reports them instead of a source.
LINE = (
    f'{{"reason":{_json("reason")},"type":{_json("type")},"message":{_json("msg")},'
    '"count":{{ .count | default "1" }},'
    f'"involvedObject":{{"kind":{_json("kind")},"namespace":{_json("namespace")},"name":{_json("name")}}},'
    f'"source":{{"component":{_json("sourcecomponent", "reportingcontroller")},'
    f'"host":{_json("sourcehost", "reportinginstance")}}}}}'
)
"""Template of a line: what the rules of component `events` rest on, whichever program ships the events."""


def pipeline(settings: Settings) -> list[dict[str, Any]]:
    """Stages, in Promtail's words, that turn Alloy's line into ours and give it the labels of the exporter."""
    namespace = settings.namespaces.main
    return [
        {"json": {"expressions": {name: name for name in FIELDS}}},
        {"template": {"source": "line", "template": LINE}},
        {"output": {"source": "line"}},
        {"static_labels": {"namespace": namespace, "app": APP, "job": f"{namespace}/{APP}"}},
        {"labelallow": ["namespace", "app", "job"]},
    ]


def config(settings: Settings) -> str:
    """Content of Alloy's configuration file."""
    return text(blocks(settings))


def blocks(settings: Settings) -> list[Block]:
    """The same as blocks, before it is written as text."""
    gateway = addresses.service(addresses.LOKI_GATEWAY, settings.namespaces.main, addresses.GATEWAY_PORT)
    return [
        # Its own lines stay JSON without the fields of an event, so that no rule takes them for one.
        Block("logging", attributes={"level": "warn", "format": "json"}),
        Block(
            "loki.source.kubernetes_events",
            "events",
            {"log_format": "json", "forward_to": [Reference("loki.process.events.receiver")]},
        ),
        Block(
            "loki.process",
            "events",
            {"forward_to": [Reference("loki.write.loki.receiver")]},
            stages(pipeline(settings)),
        ),
        alloy_write(f"{gateway}/loki/api/v1/push", PASSWORD_FILE, settings.cluster.name),
    ]
