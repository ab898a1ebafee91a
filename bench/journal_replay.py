"""The state of a stack out of the state before an update and the journal of that update.

The CLI says before each object what it is about to do, and after it what came of it: an entry of what changed, where a
backend in a folder or a bucket is given the whole state. Names and rules are those of the CLI's own journal, version 1
(`apitype.JournalEntry` and `JournalReplayer` of github.com/pulumi/pulumi).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

Json = dict[str, Any]
FEATURES = {
    "refreshBeforeUpdate": "refreshBeforeUpdate",
    "viewOf": "views",
    "resourceHooks": "hooks",
    "taint": "taint",
    "replaceWith": "replaceWith",
    "extensionRef": "extensionParameterization",
    "snippetID": "snippets-prototype",
}
"""What a reader must know of, by the field of a resource that needs it."""
PLAIN, WITH_FEATURES = 3, 4
"""Versions of a state's form."""
ROOT_TYPE = "pulumi:pulumi:Stack"


class Kind(IntEnum):
    """What an entry tells."""

    BEGIN = 0
    SUCCESS = 1
    FAILURE = 2
    REFRESH_SUCCESS = 3
    OUTPUTS = 4
    WRITE = 5
    SECRETS_MANAGER = 6
    REBUILT_BASE_STATE = 7
    EXTENSION_PARAMETERIZE = 8
    SNIPPETS = 9


def empty() -> Json:
    """The state of a stack that was never updated."""
    return {"manifest": _manifest(), "metadata": {}}


def replay(base: Json, entries: Iterable[Mapping[str, Any]]) -> Json:
    """The state with its `version` and `features`, as an export gives it. `base` is left as it is.

    Entries are taken by their sequence. Raises ValueError for an entry that speaks of what is not there.
    """
    journal = _Journal(base)
    for entry in sorted(entries, key=lambda entry: int(entry["sequenceID"])):
        journal.add(entry)
    return journal.state()


@dataclass
class _Changes:
    """What the entries since the base say: by index in the base, or by the operation that made a resource."""

    new: dict[int, Json] = field(default_factory=dict)
    removed_new: set[int] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)
    replaced: dict[int, Json] = field(default_factory=dict)
    to_delete: set[int] = field(default_factory=set)
    to_replace: set[int] = field(default_factory=set)
    begun: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    extensions: Json = field(default_factory=dict)


class _Journal:
    def __init__(self, base: Json) -> None:
        self.base = dict(base)
        self.changes = _Changes()
        self.refreshed = False
        self.bytes = False

    def add(self, entry: Mapping[str, Any]) -> None:
        self.bytes = self.bytes or bool(entry.get("requiresByteString"))
        operation = int(entry["operationID"])
        match Kind(entry["kind"]):
            case Kind.BEGIN:
                self.changes.begun[operation] = entry
            case Kind.FAILURE:
                self.changes.begun.pop(operation, None)
            case Kind.SUCCESS:
                self._succeed(operation, entry)
            case Kind.REFRESH_SUCCESS:
                self.changes.begun.pop(operation, None)
                self.refreshed = True
                self._exchange(entry)
            case Kind.OUTPUTS:
                if entry.get("state") is not None:
                    self._exchange(entry)
            case Kind.WRITE:
                self.base = dict(entry["newSnapshot"])
            case Kind.SECRETS_MANAGER:
                self.base["secrets_providers"] = entry.get("secretsProvider")
            case Kind.REBUILT_BASE_STATE:
                self.base, self.changes = self.state()["deployment"], _Changes()
            case Kind.EXTENSION_PARAMETERIZE:
                self.changes.extensions[entry["extensionRef"]] = entry["extension"]
            case Kind.SNIPPETS:
                self.base["snippets"] = entry.get("snippets") or []

    def _succeed(self, operation: int, entry: Mapping[str, Any]) -> None:
        changes = self.changes
        changes.begun.pop(operation, None)
        self.refreshed = self.refreshed or bool(entry.get("isRefresh"))
        if entry.get("state") is not None:
            changes.new[operation] = entry["state"]
        for key, indices in (
            ("removeOld", changes.removed),
            ("deleteOld", changes.to_delete),
            ("pendingReplacementOld", changes.to_replace),
        ):
            if entry.get(key) is not None:
                indices.add(self._in_base(entry[key]))
        if entry.get("removeNew") is not None:
            changes.removed_new.add(self._made(entry["removeNew"]))
        for key, mark in (("deleteNew", "delete"), ("pendingReplacementNew", "pendingReplacement")):
            if entry.get(key) is not None:
                made = self._made(entry[key])
                changes.new[made] = {**changes.new[made], mark: True}

    def _exchange(self, entry: Mapping[str, Any]) -> None:
        """Put a newer form of a resource in its place; without one the resource is gone."""
        state, old, new = entry.get("state"), entry.get("removeOld"), entry.get("removeNew")
        if old is not None and state is None:
            self.changes.removed.add(self._in_base(old))
        elif old is not None and state is not None:
            self.changes.replaced[self._in_base(old)] = state
        if new is not None and state is None:
            self.changes.removed_new.add(self._made(new))
        elif new is not None and state is not None:
            self.changes.new[self._made(new)] = state

    def _in_base(self, index: int) -> int:
        count = len(self.base.get("resources") or [])
        if index not in range(count):
            raise ValueError(f"the journal speaks of resource {index} of a state that has {count}")
        return index

    def _made(self, operation: int) -> int:
        if operation not in self.changes.new:
            raise ValueError(f"the journal speaks of a resource of operation {operation}, which made none")
        return operation

    def state(self) -> Json:
        changes, base = self.changes, self.base
        resources = [made for number, made in changes.new.items() if number not in changes.removed_new]
        for index, resource in enumerate(base.get("resources") or []):
            if index in changes.removed:
                continue
            marks = {"pendingReplacement": True} if index in changes.to_replace else {}
            marks |= {"delete": True} if index in changes.to_delete else {}
            resources.append(changes.replaced.get(index) or {**resource, **marks})
        begun = [entry["operation"] for entry in changes.begun.values() if entry.get("operation")]
        # Nobody but the user can say whether an object was made before an earlier run ended.
        begun += [one for one in base.get("pending_operations") or [] if one["type"] == "creating"]
        features = _features([*resources, *(one["resource"] for one in begun)], self.bytes)
        if self.refreshed:
            resources = _without_gone(resources)
        result = {**base, "manifest": _manifest(), "resources": _by_new_names(resources), "pending_operations": begun}
        result["extensions"] = {**changes.extensions, **(base.get("extensions") or {})}
        if base.get("snippets"):
            features.add("snippets-prototype")
        result = {key: value for key, value in result.items() if value or key in ("manifest", "metadata")}
        version = WITH_FEATURES if features else PLAIN
        return {"version": version, "features": sorted(features), "deployment": result}


def _manifest() -> Json:
    """Without a version: none of the CLI's made this state."""
    return {"time": datetime.now(UTC).isoformat(), "magic": "", "version": ""}


def _features(resources: Collection[Json], with_bytes: bool) -> set[str]:
    found = {name for key, name in FEATURES.items() if any(resource.get(key) for resource in resources)}
    return found | ({"byteString"} if with_bytes and resources else set())


def _without_gone(resources: list[Json]) -> list[Json]:
    """No resource speaks of one that a refresh found gone; a state names what others depend on first."""
    known: set[str] = set()
    result = []
    for resource in resources:
        kept = dict(resource)
        for key in ("dependencies", "replaceWith"):
            if resource.get(key):
                kept[key] = [one for one in resource[key] if one in known]
        if resource.get("propertyDependencies"):
            every = resource["propertyDependencies"].items()
            left = {key: [one for one in some if one in known] for key, some in every}
            kept["propertyDependencies"] = {key: some for key, some in left.items() if some}
        if resource.get("deletedWith") not in known:
            kept.pop("deletedWith", None)
        known.add(resource["urn"])
        result.append(kept)
    for kept in result:
        if kept.get("parent") not in known:
            kept.pop("parent", None)
    return result


def _by_new_names(resources: list[Json]) -> list[Json]:
    """All resources without aliases: who spoke of an alias speaks of the new name."""
    names: dict[str, str] = {}
    for resource in resources:
        for alias in resource.get("aliases") or []:
            if names.setdefault(alias, resource["urn"]) != resource["urn"]:
                raise ValueError(f"{names[alias]} and {resource['urn']} have the same alias {alias}")
        parent = names.get(resource.get("parent", ""))
        if parent and parent.split("::", 3)[2] != ROOT_TYPE:
            stack, project, kinds, name = resource["urn"].split("::", 3)
            kind = f"{parent.split('::', 3)[2]}${kinds.rsplit('$', 1)[-1]}"
            names[resource["urn"]] = f"{stack}::{project}::{kind}::{name}"
    if not names and not any(resource.get("aliases") for resource in resources):
        return resources
    return [_renamed(resource, names) for resource in resources]


def _renamed(resource: Json, names: Mapping[str, str]) -> Json:
    kept = {key: value for key, value in resource.items() if key != "aliases"}
    for key in ("urn", "parent", "deletedWith", "viewOf"):
        if kept.get(key) in names:
            kept[key] = names[kept[key]]
    if kept.get("provider"):
        urn, identity = kept["provider"].rsplit("::", 1)
        kept["provider"] = f"{names.get(urn, urn)}::{identity}"
    if kept.get("dependencies"):
        kept["dependencies"] = [names.get(one, one) for one in kept["dependencies"]]
    if kept.get("propertyDependencies"):
        every = kept["propertyDependencies"].items()
        kept["propertyDependencies"] = {key: [names.get(one, one) for one in some] for key, some in every}
    return kept
