"""Objects of a side of a change, as small as its tests need them."""

from typing import Any

import yaml


def item(kind: str, name: str = "a", **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "monitoring"}, **fields}


def alert(name: str = "Hot", threshold: int = 80, **fields: Any) -> dict[str, Any]:
    labels = {"severity": fields.pop("severity", "warning"), "team": "nodes"}
    expr = f"cpu{{a='1'}}\n> {threshold}  # tune threshold percent\n"
    return {"alert": name, "expr": expr, "for": "5m", "labels": labels, "annotations": {"summary": "x"}, **fields}


def rule_file(*rules: dict[str, Any]) -> dict[str, Any]:
    return item("PrometheusRule", spec={"groups": [{"name": "nodes", "rules": list(rules)}]})


def loki_file(*rules: dict[str, Any]) -> dict[str, Any]:
    found = item(
        "ConfigMap", "loki", data={"a.yaml": yaml.safe_dump({"groups": [{"name": "g", "rules": list(rules)}]})}
    )
    found["metadata"]["labels"] = {"observability/rules": "loki"}
    return found


def side(*objects: dict[str, Any], **charts: Any) -> dict[str, Any]:
    return {"dev": {"objects": list(objects), "charts": charts}}
