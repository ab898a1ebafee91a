"""A change summary as Markdown for a pull request, and for a terminal."""

from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.diff.change import TOPICS, Change
from tools.diff.compare import Cluster

MARKER = "<!-- change summary -->"
"""First line of the comment, by which a later run finds it."""
VERBS = ("added", "removed", "changed", "replaced")
ROWS = 40
"""Rows of a table in a comment: GitHub takes 65536 characters in all."""


def words(cluster: Cluster) -> str:
    """The change of one cluster in a sentence."""
    if cluster.error:
        return "cannot be rendered"
    parts = []
    for topic in TOPICS:
        count = Counter(change.verb for change in cluster.changes if change.topic == topic)
        if count:
            parts.append(f"{topic}: " + ", ".join(f"{count[verb]} {verb}" for verb in VERBS if count[verb]))
    return "; ".join(parts) or "nothing changes"


def listed(cluster: Cluster) -> list[Change]:
    """Changes that are worth a line each: of a new cluster only those that are loud."""
    return [change for change in cluster.changes if change.loud or not cluster.new]


def alike(clusters: list[Cluster]) -> list[tuple[list[str], Cluster]]:
    """Clusters with the very same change together: fifty clusters and one new alert are one section."""
    groups: dict[tuple[object, ...], tuple[list[str], Cluster]] = {}
    for cluster in clusters:
        key = (cluster.changes, cluster.notes, cluster.error)
        groups.setdefault(key, ([], cluster))[0].append(cluster.stack)
    return list(groups.values())


def markdown(clusters: list[Cluster], base: str) -> str:
    """The whole summary. Loud changes stand in bold; the list of objects is folded."""
    groups = alike(clusters)
    lines = [MARKER, f"### What changes against `{base}`", "", "| cluster | change |", "|---|---|"]
    lines += [f"| {', '.join(stacks)} | {words(cluster)} |" for stacks, cluster in groups]
    loud = [(stacks, change) for stacks, cluster in groups for change in cluster.changes if change.loud]
    lines += ["", *(f"- **{', '.join(stacks)}: {_sentence(change)}**" for stacks, change in loud[:ROWS])]
    for stacks, cluster in groups:
        if cluster.changes or cluster.notes or cluster.error:
            lines += ["", f"#### {', '.join(stacks)}", "", *cluster.notes]
            lines += ["```", cluster.error, "```"] if cluster.error else []
        for topic in TOPICS:
            changes = [change for change in listed(cluster) if change.topic == topic]
            lines += _table(topic, changes) if changes else []
    return "\n".join(lines) + "\n"


def _sentence(change: Change) -> str:
    if change.topic == "unproven":
        return f"alert {change.what} is unproven: {change.detail}"
    name = {"alerts": "alert ", "recordings": "recording "}.get(change.topic, "")
    return f"{name}{change.what} {change.verb}" + (f": {change.detail}" if change.detail else "")


def _table(topic: str, changes: list[Change]) -> list[str]:
    rows = [
        f"| {change.verb} | {_cell(change.what, change.loud)} | {_cell(change.detail)} |" for change in changes[:ROWS]
    ]
    rows += [f"| | and {len(changes) - ROWS} more | |"] if len(changes) > ROWS else []
    table = [f"| {topic} | | |", "|---|---|---|", *rows]
    if topic != "objects":
        return ["", *table]
    return ["", f"<details><summary>{len(changes)} objects</summary>", "", *table, "", "</details>"]


def _cell(text: str, loud: bool = False) -> str:
    text = text.replace("|", "\\|").replace("<", "&lt;")
    return f"**{text}**" if loud else text


def terminal(clusters: list[Cluster], base: str) -> None:
    """Print the summary for a person."""
    console = Console(width=None if Console().is_terminal else 160, highlight=False, markup=False)
    for stacks, cluster in alike(clusters):
        console.print(f"{', '.join(stacks)} against {base}: {words(cluster)}.")
        for note in (*cluster.notes, cluster.error):
            if note:
                console.print(f"  {note}")
        if changes := listed(cluster):
            table = Table("what", "change", "name", "detail")
            for change in changes:
                style = "bold" if change.loud else ""
                table.add_row(change.topic, change.verb, Text(change.what, style), Text(change.detail, style))
            console.print(table)
