"""The closing page of `make up`: what runs and from where, addresses, rules, alerts, logs, and how to stop."""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console
from rich.table import Table

from tools.access import Access
from tools.cluster.images import local_builds

TITLES = {
    "prometheus": "Prometheus",
    "alertmanager": "Alertmanager",
    "loki": "Loki (its gateway)",
    "grafana": "Grafana",
    "inbox": "Inbox of all messages",
}


@dataclass(frozen=True)
class Page:
    """What is to be said about a deployed stack."""

    stack: str
    way: str
    images: list[tuple[str, str, int]] = field(default_factory=list)
    """Image, where it is from, and how many containers run it."""
    stand_ins: list[str] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)
    firing: list[str] = field(default_factory=list)
    namespace: str = ""
    """Where most of its pods run, for an example of a query."""


def complete(page: Page, access: Access) -> Page:
    """The page with what only the running parts know."""
    found = access.running.kubectl("get", "pods", "--all-namespaces", "--output=json")
    pods = [pod for pod in json.loads(found)["items"] if pod["spec"].get("nodeName") == access.running.node]
    return replace(
        page,
        images=images(pods, local_builds(access.running.state)),
        urls=access.urls,
        rules=rules(access),
        firing=firing(access),
        namespace=access.namespaces.main,
    )


def images(pods: Iterable[dict[str, Any]], local_builds: Iterable[str]) -> list[tuple[str, str, int]]:
    """Each image that runs: its reference, where it is from, and in how many containers."""
    built = set(local_builds)
    used = Counter(container["image"] for pod in pods for container in pod["spec"]["containers"])
    return [(image, "local build" if image in built else "pulled", count) for image, count in sorted(used.items())]


def rules(access: Access) -> dict[str, str]:
    """What each evaluator has loaded, in words."""
    groups = access.read("prometheus", "/api/v1/rules")["data"]["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    failing = sorted({rule["name"] for rule in loaded if rule["health"] == "err"})
    words = {"prometheus": _counted(len(groups), Counter(rule["type"] for rule in loaded), failing)}
    files = access.read("loki", "/loki/api/v1/rules") or {}
    groups = [group for file in files.values() for group in file]
    kinds = Counter("alerting" if "alert" in rule else "recording" for group in groups for rule in group["rules"])
    return words | {"loki": _counted(len(groups), kinds, [])}


def _counted(groups: int, kinds: Counter[str], failing: list[str]) -> str:
    words = f"{kinds['alerting']} alerts and {kinds['recording']} recording rules in {groups} groups"
    return f"{words}; FAILING: {', '.join(failing)}" if failing else words


def firing(access: Access) -> list[str]:
    """Alerts that Alertmanager has, by name, with how many there are of each."""
    names = Counter(alert["labels"]["alertname"] for alert in access.read("alertmanager", "/api/v2/alerts"))
    return [name if count == 1 else f"{name} ({count})" for name, count in sorted(names.items())]


def show(page: Page) -> None:
    """Print the page."""
    console = Console(file=sys.stderr, width=None if sys.stderr.isatty() else 120, highlight=False)
    console.print(f"\n[bold]Stack {page.stack} runs on the local cluster[/bold], deployed by {page.way}.\n")
    if page.images:
        table = Table("image", "from", "containers", box=None, header_style="dim", padding=(0, 2, 0, 0))
        for image, source, count in page.images:
            table.add_row(image, source, str(count))
        console.print(table)
    for text in page.stand_ins:
        console.print(f"[bold]Stand-in:[/bold] {text}", markup=True)
    if page.urls:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for name, url in page.urls.items():
            table.add_row(TITLES[name], url, page.rules.get(name, ""))
        console.print("", table)
        console.print(f"Alerts now: {', '.join(page.firing) or 'none'}")
    stack = "" if page.stack == "dev" else f" STACK={page.stack}"
    commands = ["Fake nodes only: the objects are there, and no container runs. No logs, no alerts, no messages."]
    if page.urls:
        commands = [
            f"""Logs      make logs{stack} QUERY='{{namespace="{page.namespace}"}}'""",
            f"Messages  make inbox{stack}",
            f"Faults    make fire{stack} ALERT=PodCrashLooping    (make fire{stack} lists what can be caused)",
        ]
    console.print("\n".join(["", *commands, f"Stop      make down{stack}"]), markup=False)
