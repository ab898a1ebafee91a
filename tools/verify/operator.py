"""Has the operator made what its objects say? A fault in one leaves the older configuration in place, unsaid."""

from collections.abc import Mapping
from typing import Any

from tools.reach import Reach
from tools.verify.result import Result, some

KINDS = ("prometheuses", "alertmanagers")
GROUP = "monitoring.coreos.com"
"""Other operators have kinds of the same names."""
MADE = "Reconciled"
"""The condition in an object's status (prometheus-operator's API, `ConditionType`)."""


def reconciled(cluster: Reach, namespace: str) -> Result:
    """Every object of the operator's kinds is reconciled at its present generation."""
    items = {kind: cluster.get(f"{kind}.{GROUP}", f"--namespace={namespace}")["items"] for kind in KINDS}
    why = {f"{kind}/{item['metadata']['name']}": _why(item) for kind, found in items.items() for item in found}
    faults = [f"{name}: {text}" for name, text in why.items() if text]
    todo = f"kubectl -n {namespace} logs -l app.kubernetes.io/component=prometheus-operator"
    if not why:
        return Result("", False, f"there is no object of {' or '.join(KINDS)}", todo)
    return Result("", not faults, some(faults, 2) if faults else f"{len(why)} objects are as the stack says", todo)


def _why(item: Mapping[str, Any]) -> str | None:
    conditions = item.get("status", {}).get("conditions", [])
    found = next((entry for entry in conditions if entry["type"] == MADE), None)
    if found is None:
        return "the operator has not seen it"
    if found["status"] != "True":
        return str(found.get("message") or found.get("reason") or "not reconciled")
    if found.get("observedGeneration") != item["metadata"].get("generation"):
        return "the operator has not seen its last change"
    return None
