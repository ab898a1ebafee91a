"""`make render`: writes every object of a stack as one YAML file. No engine, no cluster, no credentials.

`python -m tools.render --stack dev` writes out/dev/<kind>/<namespace>.<name>.yaml. Secret data is never written.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import yaml

from tools.console import run, say
from tools.manifests import Manifests, manifests
from tools.synth import ROOT

OUT = ROOT / "out"
NOT_WRITTEN = "<not written: secret data>"


def without_secret_data(item: dict[str, Any]) -> dict[str, Any]:
    """The object itself, or, for a Secret, one that keeps only the keys of its data."""
    if item["kind"] != "Secret":
        return item
    return {
        key: dict.fromkeys(value, NOT_WRITTEN) if key in {"data", "stringData"} else value
        for key, value in item.items()
    }


def write(rendered: Manifests, folder: Path) -> None:
    """Write one file an object below `folder`, replacing what an earlier render left there."""
    shutil.rmtree(folder, ignore_errors=True)
    for item in rendered.objects:
        meta = item["metadata"]
        name = ".".join(part for part in (meta.get("namespace"), meta["name"]) if part)
        path = folder / item["kind"].lower() / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(without_secret_data(item), sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")


def report(rendered: Manifests) -> None:
    """Say what was rendered, and what could not be."""
    for text in rendered.stand_ins:
        say(f"STAND-IN: {text}")
    for chart in rendered.missing_charts:
        say(f"MISSING: the chart {chart} cannot be reached; its objects are not in the render.")
    if rendered.crds_from_module:
        say("The CRDs come from the operator's Go module, since the chart prometheus-operator-crds cannot be reached.")
    if rendered.unset_secrets:
        say(f"Secrets that the stack file does not hold yet: {', '.join(rendered.unset_secrets)}.")


def main() -> None:
    """Render one stack."""
    parser = argparse.ArgumentParser(prog="python -m tools.render", description=__doc__)
    parser.add_argument("--stack", required=True, help="the name in Pulumi.<stack>.yaml")
    stack = parser.parse_args().stack
    rendered = manifests(stack, ROOT / f"Pulumi.{stack}.yaml")
    folder = OUT / stack / "manifests"
    write(rendered, folder)
    report(rendered)
    say(
        f"{len(rendered.objects)} objects of stack {stack} are in {folder.relative_to(ROOT)}/. Secret data is left out."
    )


if __name__ == "__main__":
    run(main)
