"""`make resources`: writes the identities of every resource of the tracked stacks, for the release of this version.

The engine knows a resource by its type (with those of its parents) and its name. One that is renamed without an alias
is deleted and made anew, with whatever it holds; tests/state compares each change with the list of the last release.
"""

import json
import tomllib
from collections.abc import Iterable

from components import loki_config
from settings.reader import secret_keys
from tools.console import run, say
from tools.rules import stack_settings
from tools.synth import ROOT, Program, Resource, placeholder, stack_config, synthesize

FOLDER = ROOT / "tests" / "state"
STACKS = ("dev", "prod")
STACK = "pulumi:pulumi:Stack"
SCHEMA = "loki-schema.json"
"""Periods of Loki's schema at that release."""


def program(stack: str) -> Program:
    """What a tracked stack registers."""
    keys = secret_keys(stack_settings(stack))
    secrets = {key: placeholder(key) for key in keys}
    return synthesize(stack, stack_config(ROOT / f"Pulumi.{stack}.yaml"), secrets=secrets)


def identity(urn: str) -> str:
    """The part of a URN that tells resources of one stack apart: types and name."""
    return urn.split("::", 2)[2].removeprefix(f"{STACK}$")


def identities(resources: Iterable[Resource]) -> list[str]:
    """Identities of resources, sorted."""
    return sorted(identity(resource.urn) for resource in resources)


def version() -> str:
    """The version of the repository, from pyproject.toml."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(content["project"]["version"])


def main() -> None:
    """Write the lists of this version, and the periods of Loki's schema: at a release, and not to make a test pass."""
    folder = FOLDER / version()
    folder.mkdir(parents=True, exist_ok=True)
    for stack in STACKS:
        lines = identities(program(stack).resources)
        (folder / f"{stack}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        say(f"{folder.relative_to(ROOT)}/{stack}.txt: {len(lines)} resources")
    (folder / SCHEMA).write_text(json.dumps(loki_config.SCHEMAS) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
