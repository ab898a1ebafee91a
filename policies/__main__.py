"""The policy pack: `pulumi preview --policy-pack policies`. The rules are in object_rules.py and pod_rules.py."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi_policy import (  # type: ignore[import-not-found, unused-ignore]
    EnforcementLevel,
    PolicyPack,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError  # type: ignore[import-not-found, unused-ignore]

# The engine starts this folder as a program; the rules are a package, as the unit tests import it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policies.kinds import Object, Rule
from policies.object_rules import RULES

KUBERNETES = "kubernetes:"


def known(value: Any) -> Any:
    """What a preview knows of a value. A rule that meets an unknown one would not be run at all, for no resource."""
    if isinstance(value, Mapping):
        found = {}
        for key in value:
            try:
                found[key] = known(value[key])
            except UnknownValueError:
                continue
        return found
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        items = []
        for index in range(len(value)):
            try:
                items.append(known(value[index]))
            except UnknownValueError:
                continue
        return items
    return value


def objects(arguments: Any) -> list[Object]:
    """Kubernetes objects among the resources of a stack. A Patch is an object like any other."""
    kubernetes = [resource for resource in arguments.resources if resource.resource_type.startswith(KUBERNETES)]
    found = [known(resource.props) for resource in kubernetes]
    return [
        {**item, "kind": item["kind"].removesuffix("Patch")} for item in found if "kind" in item and "metadata" in item
    ]


def validator(rule: Rule) -> Callable[[Any, Callable[[str], None]], None]:
    """A stack validation that reports each violation of `rule`."""

    def validate(arguments: Any, report: Callable[[str], None]) -> None:
        for violation in rule(objects(arguments)):
            report(violation)

    return validate


PolicyPack(
    name="observability",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        StackValidationPolicy(name=name, description=rule.__doc__ or name, validate=validator(rule))
        for name, rule in RULES.items()
    ],
)
