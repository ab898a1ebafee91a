"""Rendering of the templates by amtool, and groups of alerts as Alertmanager gives them to a template."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tools.binaries import find

from . import stacks

KINDS = {
    "telegram.message": ("html", 4096),
    "slack.title": ("text", 1024),
    "slack.text": ("text", 4000),
    "discord.title": ("text", 256 * 2),
    "discord.message": ("text", 4096),
    "msteams.text": ("text", 20_000),
    "jira.description": ("text", 32_767),
    "github.body": ("text", 60_000),
    "email.html": ("html", 102_000),
    "email.text": ("text", 102_000),
    "pagerduty.details": ("text", 100_000),
    "opsgenie.description": ("text", 15_000),
    "title": ("text", 250),
}
"""For each template: how Alertmanager executes it, and how many characters the service takes."""


class Renderer:
    """Renders the templates of a stack with Grafana and Alertmanager in reach."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        stacks.rendered(stacks.settings(), folder)

    def __call__(self, template: str, data: dict[str, Any]) -> str:
        """The text that the template makes of a group."""
        file = self.folder / "data.json"
        file.write_text(json.dumps(data))
        command = [str(find("amtool")), "template", "render", f"--template.glob={self.folder}/templates/*.tmpl"]
        command += [f'--template.text={{{{ template "{template}" . }}}}', f"--template.data={file}"]
        kind = KINDS.get(template, ("text", 0))[0]
        result = subprocess.run([*command, f"--template.type={kind}"], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout


def group(
    alerts: list[dict[str, Any]], grouped_by: tuple[str, ...] = ("alertname", "cluster", "namespace")
) -> dict[str, Any]:
    """A group as Alertmanager gives it to templates."""
    full = [
        {
            "status": "firing",
            "startsAt": "2026-01-10T08:00:00Z",
            "endsAt": "2026-01-10T08:30:00Z",
            "labels": {},
            "annotations": {},
            **alert,
        }
        for alert in alerts
    ]

    def common(part: str) -> dict[str, str]:
        return {key: value for key, value in full[0][part].items() if all(a[part].get(key) == value for a in full)}

    labels = common("labels")
    return {
        "receiver": "team",
        "status": "firing" if any(alert["status"] == "firing" for alert in full) else "resolved",
        "alerts": full,
        "groupLabels": {key: labels[key] for key in grouped_by if key in labels},
        "commonLabels": labels,
        "commonAnnotations": common("annotations"),
        "externalURL": "http://alertmanager:9093",
    }


def pod(**changes: Any) -> dict[str, Any]:
    labels = {
        "alertname": "PodCrashLooping",
        "severity": "critical",
        "cluster": "prod",
        "namespace": "shop",
        "pod": "web-1",
    }
    texts = {
        "summary": "Pod web-1 crashes",
        "description": "Pod web-1 crashed 7 times.",
        "runbook_url": "https://r.example.com/P.md",
    }
    return {"labels": {**labels, "component": "workloads"}, "annotations": texts, **changes}
