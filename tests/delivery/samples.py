"""Writes docs/messages.md: a sample of the message of each kind, rendered. `python -m tests.delivery.samples`."""

import tempfile
from pathlib import Path

from tools.synth import ROOT

from .templates import Renderer, group

PAGE = ROOT / "docs" / "messages.md"
HEAD = """# Messages, as they arrive

One alert, rendered for each kind of receiver by the templates in `components/templates`, field by field. Written by
`python -m tests.delivery.samples`; a test holds it equal to what the templates make. A `webhook` gets the JSON of
Alertmanager itself, with at most 100 alerts.
"""
FIELDS = {
    "slack": ("slack.color", "slack.title", "slack.text"),
    "email": ("title", "email.text", "email.html"),
    "telegram": ("telegram.message",),
    "pagerduty": ("title", "pagerduty.severity", "pagerduty.details"),
    "opsgenie": ("title", "opsgenie.priority", "opsgenie.tags", "opsgenie.description"),
    "msteams": ("msteams.title", "msteams.text"),
    "discord": ("discord.title", "discord.message"),
    "jira": ("title", "jira.description"),
    "github": ("title", "github.key", "github.body"),
}
"""Templates of each kind, in the order in which a reader sees them."""
ALERT = {
    "labels": {
        "alertname": "PodCrashLooping",
        "severity": "critical",
        "cluster": "prod",
        "namespace": "shop",
        "pod": "web-1",
        "component": "workloads",
        "team": "apps",
    },
    "annotations": {
        "summary": "Container web of pod shop/web-1 is in a crash loop",
        "description": "Cluster prod: container web of pod shop/web-1 on node w1 starts, ends and waits in "
        "CrashLoopBackOff, for 10m now.",
        "runbook_url": "https://github.com/example/observability/blob/main/runbooks/PodCrashLooping.md",
    },
}


def page(render: Renderer) -> str:
    """The whole page."""
    parts = [HEAD]
    for kind, templates in FIELDS.items():
        parts.append(f"## {kind}\n")
        parts += [f"`{name}`\n\n```text\n{render(name, group([ALERT])).strip()}\n```\n" for name in templates]
    ended = render("telegram.message", group([{**ALERT, "status": "resolved"}])).strip()
    parts.append(f"## When it is over\n\n`telegram.message`\n\n```text\n{ended}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(page(Renderer(Path(folder))), encoding="utf-8")
