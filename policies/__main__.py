"""The policy pack: `pulumi preview --policy-pack policies`. The rules are in policies/object_rules.py."""

from collections.abc import Callable
from typing import Any

from object_rules import RULES, Object, Rule  # type: ignore[import-not-found, unused-ignore]
from pulumi_policy import (  # type: ignore[import-not-found, unused-ignore]
    EnforcementLevel,
    PolicyPack,
    StackValidationPolicy,
)

KUBERNETES = "kubernetes:"


def objects(arguments: Any) -> list[Object]:
    """Kubernetes objects among the resources of a stack. A Patch is an object like any other."""
    found = [resource.props for resource in arguments.resources if resource.resource_type.startswith(KUBERNETES)]
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
