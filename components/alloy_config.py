"""Alloy's configuration as log agent: the labels, stages and guarantees of Promtail's, made from the same parts."""

from typing import Any

from components import addresses, journal
from components.alloy_syntax import Block, Reference, stages, text
from components.log_agent_client import alloy_write
from components.log_agent_stages import pod_stages
from components.promtail_config import pod_relabeling
from settings import Settings

PASSWORD_FILE = "/etc/alloy/secrets/password"  # noqa: S105 (a path, not a password)
NODE = 'sys.env("NODE_NAME")'
WRITE = [Reference("loki.write.loki.receiver")]


def config(settings: Settings) -> str:
    """Content of Alloy's configuration file.

    Lines above the limit are cut by Loki here: unlike Promtail, Alloy has no such limit of its own.
    """
    return text(blocks(settings))


def blocks(settings: Settings) -> list[Block]:
    """The same as blocks, before it is written as text."""
    gateway = addresses.service(addresses.LOKI_GATEWAY, settings.namespaces.main, addresses.GATEWAY_PORT)
    return [
        Block("logging", attributes={"level": "info", "format": "logfmt"}),
        *_pods(settings),
        *(_journal(settings) if settings.log_agent.journal.enabled else []),
        alloy_write(f"{gateway}/loki/api/v1/push", PASSWORD_FILE, settings.cluster.name),
    ]


def _pods(settings: Settings) -> list[Block]:
    this_node = Block("selectors", attributes={"role": "pod", "field": Reference(f'"spec.nodeName=" + {NODE}')})
    # Promtail alone needs to be told which targets are its own; here the selector does it.
    rules = [rule for rule in pod_relabeling() if rule["target_label"] != "__host__"]
    return [
        Block("discovery.kubernetes", "pods", {"role": "pod"}, [this_node]),
        Block("discovery.relabel", "pods", {"targets": Reference("discovery.kubernetes.pods.targets")}, _rules(rules)),
        Block("local.file_match", "pods", {"path_targets": Reference("discovery.relabel.pods.output")}),
        Block(
            "loki.source.file",
            "pods",
            {
                "targets": Reference("local.file_match.pods.targets"),
                "forward_to": [Reference("loki.process.pods.receiver")],
            },
        ),
        Block("loki.process", "pods", {"forward_to": WRITE}, stages(pod_stages(settings.log_agent))),
    ]


def _journal(settings: Settings) -> list[Block]:
    return [
        Block("loki.relabel", "journal", {"forward_to": []}, _rules(journal.relabeling())),
        Block(
            "loki.source.journal",
            "journal",
            {
                "max_age": journal.MAX_AGE,
                "relabel_rules": Reference("loki.relabel.journal.rules"),
                "labels": {"job": journal.JOB, "node": Reference(NODE)},
                "forward_to": [Reference("loki.process.journal.receiver")],
            },
        ),
        Block("loki.process", "journal", {"forward_to": WRITE}, stages(journal.stages(settings.log_agent))),
    ]


def _rules(relabeling: list[dict[str, Any]]) -> list[Block]:
    return [Block("rule", attributes=rule) for rule in relabeling]
