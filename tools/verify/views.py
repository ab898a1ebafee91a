"""Are all targets up, and are all dashboards there?"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from components.dashboard_files import Dashboard
from tools.reach import Part, Reach
from tools.verify.result import Result, some


def targets(part: Part) -> Result:
    """Every target that Prometheus knows answers its scrapes."""
    found = part.read("/api/v1/targets?state=active")["data"]["activeTargets"]
    down = sorted(
        f"{target['scrapePool']} ({target['lastError'] or 'not scraped yet'})"
        for target in found
        if target["health"] != "up"
    )
    if not found:
        return Result("", False, "Prometheus has no target at all", "kubectl get servicemonitors --all-namespaces")
    seen = f"{len(found) - len(down)} of {len(found)} are up" + (f"; down: {some(down, 3)}" if down else "")
    return Result("", not down, seen, "Prometheus' page Targets")


def dashboards(cluster: Reach, namespace: str, shipped: Iterable[Dashboard], grafana: Part | None) -> Result:
    """Each dashboard of the stack is in its ConfigMap as the files say, and Grafana, where it runs, has it."""
    boards = {board.name: json.loads(board.text) for board in shipped}
    items = cluster.get("configmaps", f"--namespace={namespace}", "--selector=grafana_dashboard=1")["items"]
    there = {key.removesuffix(".json"): _board(text) for item in items for key, text in item.get("data", {}).items()}
    faults = [f"{name} has no ConfigMap" for name in boards if name not in there]
    faults += [f"{name} differs from its file" for name, board in boards.items() if there.get(name, board) != board]
    if grafana is None:
        return _result(faults, f"{len(boards)} in ConfigMaps; Grafana does not run here", namespace)
    has = {entry["uid"] for entry in grafana.read("/api/search?type=dash-db&limit=5000")}
    faults += [f"Grafana does not have {name}" for name, board in boards.items() if board["uid"] not in has]
    return _result(faults, f"{len(boards)} in ConfigMaps and in Grafana", namespace)


def _board(text: str) -> Mapping[str, Any] | None:
    try:
        board: Mapping[str, Any] = json.loads(text)
    except ValueError:
        return None
    return board


def _result(faults: list[str], seen: str, namespace: str) -> Result:
    todo = f"kubectl -n {namespace} get configmaps --selector=grafana_dashboard=1; the log of Grafana's sidecar"
    return Result("", not faults, some(faults, 3) if faults else seen, todo)
