"""Volumes whose size in the stack file is not that of their claims: no update changes a claim that exists."""

from settings import Settings
from settings.base import amount
from tools.backup.parts import parts
from tools.console import UserError, say
from tools.reach import Reach


def differences(cluster: Reach, settings: Settings) -> list[str]:
    """A sentence for each claim whose size is another one, with what to do. Raises UserError with kubectl's words."""
    found = cluster.get("persistentvolumeclaims", f"--namespace={settings.namespaces.main}")["items"]
    there = {item["metadata"]["name"]: item["spec"]["resources"]["requests"]["storage"] for item in found}
    return [
        f"The claim {claim} has {there[claim]}, and the stack file says {part.size}. {_advice(there[claim], part.size)}"
        for part in parts(settings)
        for _, claim in part.pods()
        if claim in there and amount(there[claim]) != amount(part.size)
    ]


def _advice(now: str, wanted: str) -> str:
    if amount(wanted) < amount(now):
        return "A claim never shrinks: set the old size again."
    return "An update keeps the claim and its size: grow it first (docs/upgrade.md, Volume sizes)."


def warn(cluster: Reach, settings: Settings) -> None:
    """Say what differs, or that it cannot be compared: before a preview, which tells of the StatefulSet only."""
    try:
        lines = differences(cluster, settings)
    except UserError as error:
        lines = [f"Sizes of volumes are not compared with the cluster's: {error}"]
    for line in lines:
        say(line)
