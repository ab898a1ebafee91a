"""A second log agent, and a second event exporter, which send the lines to the Loki of a hub as well.

They are apart from the first ones: an agent with two targets pushes to one after the other and stands still for both
when one of them does not answer, so a fault of the hub would blind every cluster. They read the same by the same
configuration, and have places of their own where they remember how far they have read.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import (
    alloy,
    alloy_config,
    alloy_syntax,
    event_exporter,
    event_exporter_config,
    log_agent,
    pods,
    promtail,
    promtail_config,
)
from components.alloy_syntax import Block
from components.log_agent_client import Sending, alloy_write, promtail_client
from components.log_agent_stages import drop
from settings import Settings
from settings.base import amount
from settings.central_logs import PUSH, CentralLogsSettings

APP = "central-logs"
EVENTS = "central-events"
CREDENTIALS = f"{APP}-credentials"
CA_KEY = "ca.crt"


def as_agent(settings: Settings, central: CentralLogsSettings) -> Settings:
    """The settings that the log agent's own builders make this agent of."""
    both = settings.log_agent
    journal = both.journal.model_copy(update={"enabled": both.journal.enabled and central.journal})
    chosen = both.model_copy(update={"journal": journal, "resources": central.resources})
    return settings.model_copy(update={"log_agent": chosen})


def sending(settings: Settings, central: CentralLogsSettings, password_file: str) -> Sending:
    """As whom it logs in at the hub, and how it tries again."""
    queue = central.queue
    return Sending(
        username=central.username or settings.cluster.name,
        ca_file=str(PurePosixPath(password_file).with_name(CA_KEY)) if central.ca_secret else None,
        batch_wait=queue.batch_wait,
        batch_bytes=int(amount(queue.batch_size)),
        min_backoff=queue.min_backoff,
        max_backoff=queue.max_backoff,
        timeout=queue.timeout,
    )


def relabeling(central: CentralLogsSettings) -> list[dict[str, Any]]:
    """Which namespaces: what is left out is not even read."""
    chosen = {"keep": central.keep_namespaces, "drop": central.drop_namespaces}
    return [
        {"source_labels": ["namespace"], "regex": "|".join(names), "action": action}
        for action, names in chosen.items()
        if names
    ]


def promtail_file(settings: Settings, central: CentralLogsSettings) -> dict[str, Any]:
    """Content of Promtail's configuration file: the log agent's, but for where it sends."""
    file = promtail_config.PASSWORD_FILE
    config = promtail_config.config(as_agent(settings, central))
    login = sending(settings, central, file)
    config["clients"] = [promtail_client(central.url + PUSH, file, settings.cluster.name, login)]
    config["scrape_configs"][0]["relabel_configs"] += relabeling(central)
    return config


def alloy_blocks(settings: Settings, central: CentralLogsSettings) -> list[Block]:
    """The same for Alloy, as blocks."""
    file = alloy_config.PASSWORD_FILE
    write = alloy_write(central.url + PUSH, file, settings.cluster.name, sending(settings, central, file))
    rules = [Block("rule", attributes=rule) for rule in relabeling(central)]
    found = []
    for block in alloy_config.blocks(as_agent(settings, central)):
        if block.name == "discovery.relabel":
            found.append(replace(block, blocks=[*block.blocks, *rules]))
        else:
            found.append(write if block.name == write.name else block)
    return found


def sends_events(settings: Settings) -> bool:
    """Whether events go to a hub: those that something else ships are not ours to send."""
    central = settings.central_logs
    return central is not None and central.events and settings.events.mode == "deploy"


def event_blocks(settings: Settings, central: CentralLogsSettings) -> list[Block]:
    """Alloy's configuration as event exporter of the hub: the first one's, but for where it sends, and what."""
    file = event_exporter_config.PASSWORD_FILE
    write = alloy_write(central.url + PUSH, file, settings.cluster.name, sending(settings, central, file))
    # Events of nodes and other objects without a namespace are in `default`, and keep_namespaces goes by that.
    of_nodes = [""] if "default" in central.drop_namespaces else []
    names = "|".join([*central.drop_namespaces, *of_nodes])
    # The stage comes first: later ones replace the namespace of the object by that of the exporter.
    left_out = [drop(f'{{namespace=~"{names}"}}')] if names else []
    found = []
    for block in event_exporter_config.blocks(settings):
        changed = write if block.name == write.name else block
        if block.name == "loki.source.kubernetes_events" and central.keep_namespaces:
            changed = replace(block, attributes={**block.attributes, "namespaces": central.keep_namespaces})
        if block.name == "loki.process":
            changed = replace(block, blocks=[*alloy_syntax.stages(left_out), *block.blocks])
        found.append(changed)
    return found


class CentralLogs(pulumi.ComponentResource):
    """The objects of both, and their password."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        central: CentralLogsSettings,
        secrets: Mapping[str, pulumi.Output[str]],
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:CentralLogs", name, {}, opts)
        keys = {"password": central.password_secret, CA_KEY: central.ca_secret}
        content = {key: secrets[secret] for key, secret in keys.items() if secret}
        events = {f"{name}-events-credentials": settings.namespaces.main} if sends_events(settings) else {}
        for resource, namespace in {f"{name}-credentials": settings.namespaces.agents, **events}.items():
            k8s.core.v1.Secret(
                resource,
                metadata=pods.metadata(APP, namespace, CREDENTIALS),
                string_data=content,
                opts=pulumi.ResourceOptions(parent=self),
            )
        chosen = as_agent(settings, central)
        # One component for both programs: the objects keep their identity when the program changes.
        if settings.log_agent.program == "alloy":
            files = {"config.alloy": alloy_syntax.text(alloy_blocks(settings, central))}
            spec = alloy.pod_spec(chosen, APP, CREDENTIALS)
        else:
            files = {"config.yaml": promtail_config.text(promtail_file(settings, central))}
            spec = promtail.pod_spec(chosen, APP, CREDENTIALS)
        log_agent.deploy(name, APP, files, spec, settings=settings, parent=self, crds=crds)
        if events:
            text = alloy_syntax.text(event_blocks(settings, central))
            spec = event_exporter.pod_spec(settings, EVENTS, CREDENTIALS)
            event_exporter.deploy(f"{name}-events", EVENTS, text, spec, settings=settings, parent=self, crds=crds)
        self.register_outputs({})
