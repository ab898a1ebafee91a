"""JSON schemas of Kubernetes' own kinds, from the API description of a release, and of custom kinds from their CRDs.

Objects are closed: a key that the API does not know is a mistake, though the API server would only drop it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.go_build import module_dir

RELEASES = {"1.34": "kubernetes-1.34", "1.35": "kubernetes-1.35", "1.36": "kubernetes"}
"""Kubernetes versions, and the module under tools/go that has the API description of each."""
SWAGGER = "api/openapi-spec/swagger.json"
REF = "#/definitions/"
SPECIAL: dict[str, Any] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
}
"""What the description calls a string, though numbers are taken as well."""
TEMPLATE = "{{ .Group }}_{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json"
"""File name of a schema, in kubeconform's words."""
Schema = dict[str, Any]


def file_name(group: str, kind: str, version: str) -> str:
    """File name of the schema of a kind. Of a kind without a group kubeconform takes the version for one."""
    return f"{group or version}_{kind.lower()}_{version}.json"


def closed(schema: Any) -> Any:
    """The schema with every object closed whose keys are all known."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items() if not key.startswith("x-") and key != "format"}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    if "properties" in schema and "properties" not in _names(schema):
        open_ended = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
        result |= {} if open_ended else {"additionalProperties": False}
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        result["type"] = [schema["type"], "null"]
    return result


def _names(schema: Mapping[str, Any]) -> Iterable[str]:
    # A kind may have a field that is called `properties`: then it is a map of fields and no schema.
    return () if isinstance(schema.get("type"), str) or "$ref" in schema else schema


def write_kubernetes(release: str, folder: Path) -> int:
    """Write the schemas of a release's kinds; returns how many."""
    swagger = json.loads((module_dir(RELEASES[release]) / SWAGGER).read_text(encoding="utf-8"))
    definitions = {name: SPECIAL.get(name) or closed(item) for name, item in swagger["definitions"].items()}
    count = 0
    for name, item in swagger["definitions"].items():
        for kind in item.get("x-kubernetes-group-version-kind", []):
            inside = _reachable(name, definitions)
            schema = {**definitions[name], "definitions": {key: definitions[key] for key in inside}}
            path = folder / file_name(kind["group"], kind["kind"], kind["version"])
            path.write_text(json.dumps(schema), encoding="utf-8")
            count += 1
    return count


def _reachable(name: str, definitions: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        current = todo.pop()
        if current not in found:
            found.add(current)
            todo += _refs(definitions[current])
    return found


def _refs(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"].removeprefix(REF)] if isinstance(value.get("$ref"), str) else []
        return [*own, *(ref for item in value.values() for ref in _refs(item))]
    return [ref for item in value for ref in _refs(item)] if isinstance(value, list) else []


def write_custom(crds: Iterable[Mapping[str, Any]], folder: Path) -> int:
    """Write the schemas of custom kinds; returns how many."""
    count = 0
    for crd in crds:
        spec = crd["spec"]
        for version in spec["versions"]:
            schema = closed(version["schema"]["openAPIV3Schema"])
            path = folder / file_name(spec["group"], spec["names"]["kind"], version["name"])
            path.write_text(json.dumps(schema), encoding="utf-8")
            count += 1
    return count
