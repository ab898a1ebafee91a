"""`make docs`: docs/settings.md and settings.schema.json, both from the settings models."""

import ast
import inspect
import json
from collections.abc import Iterator
from itertools import pairwise
from textwrap import dedent
from typing import Any

from settings import Settings
from settings.base import Model
from settings.environment import FOLDER
from settings.reader import PROJECT
from tools.console import run, say
from tools.synth import ROOT

PAGE = ROOT / "docs" / "settings.md"
SCHEMA = ROOT / "settings.schema.json"
SHARED = ("alertmanager",)
"""Required sections that an environment may bring."""
HEAD = """# Settings

Keys of `Pulumi.<stack>.yaml`, below `config:`. Written by `make docs` from the models in `settings/`; editors can check
a stack file against `settings.schema.json`. Keys that end in `Secret` name a top-level secret of the stack, set with
`pulumi config set --secret observability:<name>`.
"""


def schema() -> dict[str, Any]:
    """JSON schema of a whole stack file. Secrets are further top-level keys; the program checks their names.

    What a file has to say beside its cluster may come from its environment: without one, all of it is required.
    """
    models = _models()
    keys = {f"{PROJECT}:{key}": value for key, value in models["properties"].items()}
    keys[f"{PROJECT}:environment"] = {"enum": environments(), **keys[f"{PROJECT}:environment"]}
    needed = {key: _resolve(models["$defs"], models["properties"][key]).pop("required") for key in SHARED}
    whole = {
        "required": [f"{PROJECT}:{key}" for key in needed],
        "properties": {f"{PROJECT}:{key}": {"required": inner} for key, inner in needed.items()},
    }
    config = {
        "type": "object",
        "properties": keys,
        "required": [f"{PROJECT}:{key}" for key in models["required"] if key not in SHARED],
        "anyOf": [{"required": [f"{PROJECT}:environment"]}, whole],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of one cluster",
        "type": "object",
        "properties": {"config": config},
        "required": ["config"],
        "$defs": models["$defs"],
    }


def _models() -> dict[str, Any]:
    """JSON schema of the models, with the docstrings of their fields.

    pydantic could take the docstrings itself, but at each import: every run of the program would read all sources.
    """
    models = Settings.model_json_schema(by_alias=True)
    known = {model.__name__: model for model in _below(Model)}
    for name, value in ((Settings.__name__, models), *models["$defs"].items()):
        for key, text in _docstrings(known[name]) if name in known else ():
            # In the order in which pydantic writes keys.
            value["properties"][key] = dict(sorted({**value["properties"][key], "description": text}.items()))
    return models


def _below(model: type[Model]) -> Iterator[type[Model]]:
    yield model
    for inner in model.__subclasses__():
        yield from _below(inner)


def _docstrings(model: type[Model]) -> Iterator[tuple[str, str]]:
    """Key and docstring of each field that has one, those of the bases first."""
    for base in reversed(model.__mro__):
        if issubclass(base, Model):
            (definition,) = ast.parse(dedent(inspect.getsource(base))).body
            assert isinstance(definition, ast.ClassDef)
            for field, text in pairwise(definition.body):
                match field, text:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                        yield base.model_fields[name].alias or name, inspect.cleandoc(words)


def environments() -> list[str]:
    """Names of the files of shared defaults."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def page() -> str:
    """The page: one table a section."""
    models = _models()
    parts = [HEAD]
    for key, value in models["properties"].items():
        rows = list(_rows(models["$defs"], value, ""))
        required = " (required)" if key in models["required"] else ""
        table = "| key | value | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows)
        text = table if rows else f"{_words(value.get('description', ''))} There are `{'`, `'.join(environments())}`."
        parts.append(f"## {PROJECT}:{key}{required}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _rows(defs: dict[str, Any], value: dict[str, Any], prefix: str) -> list[str]:
    model = _resolve(defs, value)
    rows: list[str] = []
    for key, field in model.get("properties", {}).items():
        inner = _resolve(defs, field)
        path = f"{prefix}{key}"
        default = "" if key in model.get("required", []) else _default(field)
        need = "**required**" if key in model.get("required", []) else default
        rows.append(f"| `{path}` | {_kind(defs, field)} | {need} | {_words(field.get('description', ''))} |")
        if "properties" in inner and inner.get("title") != "Resources":
            rows += _rows(defs, field, f"{path}.")
    return rows


def _resolve(defs: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    choices = [choice for choice in value.get("anyOf", []) if choice.get("type") != "null"]
    # A section that a stack may leave out is a model or nothing.
    reference = choices[0].get("$ref") if len(choices) == 1 else value.get("$ref")
    return defs[reference.rsplit("/", 1)[-1]] if reference else value


def _kind(defs: dict[str, Any], field: dict[str, Any]) -> str:
    value = _resolve(defs, field)
    literals = value.get("enum") or ([value["const"]] if "const" in value else [])
    if literals:
        return ", ".join(f"`{item}`" for item in literals)
    choices = value.get("oneOf") or value.get("anyOf")
    if choices:
        kinds = [_kind(defs, choice) for choice in choices if choice.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if value.get("type") == "array":
        return f"list of {_kind(defs, value['items'])}"
    if "additionalProperties" in value and "properties" not in value:
        return f"map of {_kind(defs, value['additionalProperties'])}"
    if "properties" in value:
        return str(value.get("title", "object"))
    return str(value.get("type", "any"))


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value is None or isinstance(value, dict):
        return ""
    return f"`{json.dumps(value)}`"


def _words(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write both files."""
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")
    say(f"wrote {PAGE.relative_to(ROOT)} and {SCHEMA.relative_to(ROOT)}")


if __name__ == "__main__":
    run(main)
