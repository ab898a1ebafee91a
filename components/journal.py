"""The systemd journal of a node as a stream of lines: its labels and stages in Promtail's words."""

from typing import Any

from components.log_agent_stages import drop, masking
from settings import Settings
from settings.log_agent import LogAgentSettings

JOB = "systemd-journal"
NODE = "${NODE_NAME}"
MAX_AGE = "24h"
"""What is older is not read: neither at the first start, nor after an agent was away for longer."""
LABELS = ["app", "node", "job"]
"""Labels of its streams beside `cluster`."""
HOST_PATHS = {
    # Kept over reboots, below /var/log; without that folder journald writes to /run. The id says which of both is ours.
    "machine-id": ("/etc/machine-id", "FileOrCreate"),
    "journal": ("/run/log/journal", "DirectoryOrCreate"),
}
"""What an agent needs of the node to read it, beside /var/log: path and type of each volume."""
KERNEL = "kernel"
"""`app` of what the kernel says."""


def missing(settings: Settings) -> str | None:
    """Why no line of the kernel reaches Loki; None where they do."""
    journal = settings.log_agent.journal
    if not journal.enabled:
        return "it needs the journal, and logAgent.journal.enabled is false"
    if KERNEL in journal.drop or (journal.keep and KERNEL not in journal.keep):
        return f"it needs the journal's lines of app {KERNEL}, and logAgent.journal leaves them out"
    return None


def relabeling() -> list[dict[str, Any]]:
    """From the fields of an entry to its labels. Fields that begin with two underscores here are journald's own.

    `app` is the service, without what makes its name endless: instances (`ssh@7-10.0.0.1:22.service`), transient ones
    (`run-r1f2e.service`), scopes and mounts of containers. So it has the names of the services installed on a node and
    a few words more. The program's own name for itself (`SYSLOG_IDENTIFIER`) would not do: any program may choose it.
    """
    return [
        # Without a unit, how it came: the kernel's own lines and audit records.
        {"source_labels": ["__journal__transport"], "target_label": "app"},
        _unit(r".+\.([a-z]+)", "$1"),
        _unit(r"([^@]+?)(?:@.*)?\.service", "$1"),
        _unit(r"run-[a-z][0-9a-f]+(?:-.*)?\.service", "run"),
        _unit(r"session-.*\.scope", "session"),
        _unit(r"init\.scope", "systemd"),
        {"source_labels": ["__journal_priority_keyword"], "target_label": "level"},
    ]


def _unit(pattern: str, app: str) -> dict[str, Any]:
    return {"source_labels": ["__journal__systemd_unit"], "target_label": "app", "regex": pattern, "replacement": app}


def stages(settings: LogAgentSettings) -> list[dict[str, Any]]:
    """Stages of the journal's pipeline, in their order."""
    journal = settings.journal
    return [
        *([drop(f'{{app=~"{_any(journal.drop)}"}}')] if journal.drop else []),
        *([drop(f'{{app!~"{_any(journal.keep)}"}}')] if journal.keep else []),
        *masking(settings),
        # The priority of an entry. Beside the line, not a label: Loki takes it for the line's level.
        {"structured_metadata": {"level": "level"}},
        {"labelallow": LABELS},
    ]


def _any(names: list[str]) -> str:
    return "|".join(name.replace(".", "[.]") for name in names)


def scrape(settings: LogAgentSettings) -> dict[str, Any]:
    """Promtail's scrape of it: without a path, the journals of this machine wherever they lie, or none."""
    return {
        "job_name": "journal",
        "pipeline_stages": stages(settings),
        "journal": {"max_age": MAX_AGE, "labels": {"job": JOB, "node": NODE}},
        "relabel_configs": relabeling(),
    }
