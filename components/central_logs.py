"""A second log agent, which sends the lines to the Loki of a hub as well.

It is one of its own: an agent with two targets pushes to one after the other and stands still for both when one of them
does not answer, so a fault of the hub would blind every cluster. It reads the same files by the same configuration, and
has its own place where it remembers how far it has read.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import alloy, alloy_config, alloy_syntax, log_agent, pods, promtail, promtail_config
from components.alloy_syntax import Block
from components.log_agent_client import Sending, alloy_write, promtail_client
from settings import Settings
from settings.base import amount
from settings.central_logs import PUSH, CentralLogsSettings

APP = "central-logs"
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


class CentralLogs(pulumi.ComponentResource):
    """The agent's objects, and its password."""

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
        k8s.core.v1.Secret(
            f"{name}-credentials",
            metadata=pods.metadata(APP, settings.namespaces.agents, CREDENTIALS),
            string_data={key: secrets[secret] for key, secret in keys.items() if secret},
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
        self.register_outputs({})
