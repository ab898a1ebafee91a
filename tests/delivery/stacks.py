"""Configurations for the tests: those that the program builds, with addresses and times of the test in their place."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import messages
from components.alertmanager_config import config
from components.receiver_kinds import FOLDER
from settings import Settings, parse
from tools.rules import stack_settings

STACKS = ("dev", "prod")
GRAFANA = "https://grafana.example.com"


def settings(**alertmanager: Any) -> Settings:
    """Settings of a stack that has an Alertmanager with these keys."""
    sections = {
        "cluster": {"name": "test", "distribution": "kubeadm"},
        "grafana": {"externalUrl": GRAFANA},
        "alertmanager": {"heartbeat": "none", "externalUrl": "https://alertmanager.example.com", **alertmanager},
    }
    return parse(sections, "test", check_secrets=False)


def shipped(stack: str) -> Settings:
    """Settings of a stack file."""
    return stack_settings(stack)


def rendered(chosen: Settings, folder: Path, secrets: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The configuration as Alertmanager gets it in the cluster, with secrets and templates as files below `folder`."""
    for part, files in (("secrets", secrets or {}), ("templates", messages.templates(chosen))):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / part / name).write_text(text)
    content = copy.deepcopy(config(chosen)) | {"templates": [f"{folder}/templates/*.tmpl"]}
    result: dict[str, Any] = replaced(content, FOLDER, str(folder / "secrets"))
    return result


def replaced(value: Any, old: str, new: str) -> Any:
    """A copy of nested data in which every text has `new` for `old`."""
    if isinstance(value, dict):
        return {key: replaced(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, old, new) for item in value]
    return value.replace(old, new) if isinstance(value, str) else value


def quick(route: dict[str, Any], **times: str) -> None:
    """Give a route and all below it these times instead of its own."""
    for name, value in times.items():
        if name in route:
            route[name] = value
    for child in route.get("routes", []):
        quick(child, **times)
