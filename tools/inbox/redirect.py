"""Leads every channel of a stack to the inbox, whatever kind it is: the local cluster has no way out.

What Alertmanager sends stays as the stack's configuration and templates make it; only addresses change.
"""

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from components.alertmanager import CONFIG_SECRET
from settings.reader import PROJECT
from tools.inbox.local import HOST
from tools.inbox.serve import HTTP_PORT, SMTP_PORT

FILE = "alertmanager.yaml"
BASE = f"http://{HOST}:{HTTP_PORT}"
CHANGES: dict[str, dict[str, Any]] = {
    "email_configs": {"smarthost": f"{HOST}:{SMTP_PORT}", "require_tls": False},
    "telegram_configs": {"api_url": BASE},
    "pagerduty_configs": {"url": f"{BASE}/webhook/pagerduty"},
    "opsgenie_configs": {"api_url": f"{BASE}/webhook/opsgenie/"},
}
"""By section of a receiver. Channels that are not here have their address in a secret, which is the inbox's."""

SETTINGS: dict[str, dict[str, Any]] = {
    "email": {"server": f"{HOST}:{SMTP_PORT}", "requireTls": False},
    "telegram": {"apiUrl": BASE},
    "github": {"apiUrl": f"{BASE}/webhook/github"},
    "jira": {"url": f"{BASE}/webhook/jira"},
}
"""The same by kind of a receiver, as a stack file says it. PagerDuty and Opsgenie have their address by region only."""


def redirected_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a stack file with its receivers changed so, for the engine, which renders it by itself."""
    key = f"{PROJECT}:alertmanager"
    alertmanager = dict(config.get(key, {}))
    receivers = {
        name: [{**channel, **SETTINGS.get(channel["kind"], {})} for channel in channels]
        for name, channels in alertmanager.get("receivers", {}).items()
    }
    return {**config, key: {**alertmanager, "receivers": receivers}} if receivers else dict(config)


def redirected(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects with Alertmanager's configuration changed so."""
    return [_redirected(item) if item["metadata"]["name"] == CONFIG_SECRET else item for item in objects]


def _redirected(secret: dict[str, Any]) -> dict[str, Any]:
    config = yaml.safe_load(secret["stringData"][FILE])
    for receiver in config["receivers"]:
        for section, changes in CHANGES.items():
            for channel in receiver.get(section, []):
                channel.update(changes)
        for channel in receiver.get("webhook_configs", []):
            # A webhook whose address stands in the configuration itself, such as GitHub's.
            if "url" in channel:
                channel["url"] = f"{BASE}/webhook/{receiver['name']}"
    result = copy.deepcopy(secret)
    result["stringData"][FILE] = yaml.safe_dump(config, sort_keys=False)
    return result
