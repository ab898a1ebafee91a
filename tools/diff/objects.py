"""What changes among the objects: created, changed, deleted, replaced; images, charts and requests."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from settings.base import amount
from tools.diff.change import LOST_VOLUME, Change, arrow, differing
from tools.manifests import images

STATEFUL = frozenset({"StatefulSet", "PersistentVolumeClaim", "PersistentVolume", "Prometheus", "Alertmanager"})
CHANGEABLE = {
    # The API server refuses any other field of the spec: the object has to be deleted and made anew.
    "StatefulSet": frozenset(
        {
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        }
    ),
    "PersistentVolumeClaim": frozenset({"resources", "volumeAttributesClassName"}),
}
FIXED = {
    "Deployment": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "Job": ("spec.selector", "spec.template"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "StorageClass": ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
    "Service": ("spec.clusterIP",),
    "Secret": ("type",),
}
OPERATED = frozenset({"Prometheus", "Alertmanager"})
SHOWN = 4
"""Fields of a changed object that are named."""
Key = tuple[str, str, str]


def by_key(objects: Iterable[dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    """Objects by kind, namespace and name."""
    return {(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]): item for item in objects}


def fixed_fields(kind: str, fields: Iterable[str]) -> list[str]:
    """Those of the changed fields that the API server lets nobody change."""
    found = []
    for field in fields:
        part = field.removeprefix("spec.").split(".")[0].split("[")[0]
        if kind in CHANGEABLE:
            if field.startswith("spec.") and part not in CHANGEABLE[kind]:
                found.append(field)
        elif any(field == fixed or field.startswith((f"{fixed}.", f"{fixed}[")) for fixed in FIXED.get(kind, ())):
            found.append(field)
    return found


def object_changes(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> Iterator[Change]:
    """Objects that are created, changed, deleted or replaced. Values of secrets are never shown."""
    old, new = by_key(before), by_key(now)
    for key in sorted({*old, *new}):
        kind, namespace, name = key
        what = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
        stateful = kind in STATEFUL
        gate = LOST_VOLUME if stateful else ""
        if key not in old:
            yield Change("objects", "added", what)
        elif key not in new:
            yield Change("objects", "removed", what, gate=gate, loud=stateful)
        elif fields := differing(old[key], new[key]):
            fixed = fixed_fields(kind, fields)
            if fixed:
                detail = f"{_fields(fixed)} cannot be changed in place"
                yield Change("objects", "replaced", what, detail, gate, stateful)
            else:
                storage = kind in OPERATED and any(field.startswith("spec.storage.") for field in fields)
                hint = "; volumes that exist keep their size" if storage else ""
                yield Change("objects", "changed", what, _fields(fields) + hint, loud=storage)


def _fields(fields: Iterable[str]) -> str:
    names = list(fields)
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def image_changes(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> Iterator[Change]:
    """Image repositories whose tags differ."""
    old, new = _tags(before), _tags(now)
    for repository in sorted({*old, *new}):
        mine, theirs = old.get(repository, set()), new.get(repository, set())
        if mine != theirs:
            verb = "added" if not mine else "removed" if not theirs else "changed"
            yield Change("images", verb, repository, arrow(", ".join(sorted(mine)), ", ".join(sorted(theirs))))


def _tags(objects: list[dict[str, Any]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for reference in images(objects):
        place, _, name = reference.rpartition("/")
        repository, _, tag = name.partition("@") if "@" in name else name.partition(":")
        found.setdefault(f"{place}/{repository}".lstrip("/"), set()).add(tag or "latest")
    return found


def chart_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    """Charts whose version or values differ."""
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old is None or new is None:
            yield Change("charts", "added" if old is None else "removed", name, (new or old or {})["version"])
            continue
        if old["version"] != new["version"]:
            yield Change("charts", "changed", name, f"version {arrow(old['version'], new['version'])}", loud=True)
        for path, (one, other) in differing(old["values"], new["values"]).items():
            yield Change("charts", "changed", f"{name}: {path}", arrow(one, other))


def requests(objects: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Sum of what pods request: cores and bytes, apart for each node's daemons; bytes of claimed volumes."""
    total: dict[str, float] = {}
    for item in objects:
        kind, spec = item["kind"], item.get("spec", {})
        if kind in {"Deployment", "StatefulSet", "DaemonSet"}:
            pods = [container.get("resources", {}) for container in spec["template"]["spec"]["containers"]]
            claims = [claim["spec"] for claim in spec.get("volumeClaimTemplates", [])]
        elif kind in OPERATED:
            pods = [spec.get("resources", {})]
            claims = [spec["storage"]["volumeClaimTemplate"]["spec"]] if "storage" in spec else []
        else:
            continue
        times = 1 if kind == "DaemonSet" else int(spec.get("replicas", 1))
        where = " on each node" if kind == "DaemonSet" else ""
        for source, (name, word) in itertools.product(pods, (("cpu", "cpu"), ("memory", "memory"))):
            _add(total, f"{word}{where}", source.get("requests", {}).get(name), times)
        for claim in claims:
            _add(total, "volumes", claim.get("resources", {}).get("requests", {}).get("storage"), times)
    return total


def _add(total: dict[str, float], name: str, quantity: object, times: int) -> None:
    if quantity is not None:
        total[name] = total.get(name, 0.0) + amount(str(quantity)) * times


def request_changes(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> Iterator[Change]:
    """Sums of requests that differ."""
    old, new = requests(before), requests(now)
    for name in dict.fromkeys([*old, *new]):
        mine, theirs = old.get(name, 0.0), new.get(name, 0.0)
        if round(mine, 6) != round(theirs, 6):
            words = [_quantity(name, value) for value in (mine, theirs, abs(theirs - mine))]
            sign = "+" if theirs > mine else "-"
            yield Change("requests", "changed", name, f"{words[0]} -> {words[1]} ({sign}{words[2]})")


def _quantity(name: str, value: float) -> str:
    if name.startswith("cpu"):
        return f"{round(value, 3):g} cores"
    return f"{value / 2**30:.4g} GiB" if value >= 2**30 else f"{value / 2**20:.4g} MiB"
