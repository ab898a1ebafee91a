"""Renders every stack of one source tree with that tree's own code, and writes what it asks for as JSON.

Started as a program of its own by `sides.py`: `python -P collect.py TREE FILE`. An older tree has no such file, so
it uses only what every version of the project has: `tools.synth` and `tools.manifests`.
"""

import json
import sys
from pathlib import Path
from typing import Any

CRDS = "prometheus-operator-crds"
"""Rendered to megabytes of schemas; its version says enough."""


def collect(tree: Path) -> dict[str, Any]:
    """By stack: its objects and charts, or `error` where the stack file has mistakes."""
    from pulumi import RunError  # noqa: PLC0415 (every import here comes from the tree that is rendered)

    from tools.console import UserError  # noqa: PLC0415

    result: dict[str, Any] = {}
    for file in sorted(tree.glob("Pulumi.*.yaml")):
        stack = file.name.removeprefix("Pulumi.").removesuffix(".yaml")
        try:
            result[stack] = _stack(stack, file)
        except (RunError, UserError) as error:
            result[stack] = {"error": str(error)}
    return result


def _stack(stack: str, file: Path) -> dict[str, Any]:
    from tools import charts, synth  # noqa: PLC0415
    from tools.manifests import CHART, RELEASE, objects_of, unset_secrets  # noqa: PLC0415

    config = synth.stack_config(file)
    secrets = {key: synth.placeholder(key) for key in unset_secrets(file, config)}
    found: dict[str, Any] = {"objects": [], "charts": {}}
    for resource in synth.synthesize(stack, config, secrets=secrets).resources:
        if resource.type in {CHART, RELEASE}:
            inputs = resource.inputs
            name, values, objects = inputs["name"], inputs.get("values", {}), None
            if name != CRDS:
                given = Path(inputs["chart"])
                location = given if given.exists() else charts.chart(name)
                objects = location and charts.template(location, name, inputs["namespace"], values)
            found["charts"][name] = {"version": inputs.get("version", ""), "values": values, "objects": objects}
        elif (item := objects_of(resource)) is not None:
            found["objects"].append(item)
    return found


if __name__ == "__main__":
    root = Path(sys.argv[1])
    sys.path.insert(0, str(root))
    Path(sys.argv[2]).write_text(json.dumps(collect(root), default=str), encoding="utf-8")
