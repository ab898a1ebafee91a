"""Settings and rendered objects of the tracked stacks."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from settings import Settings, parse
from settings.reader import PROJECT
from tools import stand_in
from tools.manifests import manifests
from tools.synth import ROOT, stack_config

STACKS = ("dev", "prod")
WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job"})
Object = dict[str, Any]


@cache
def settings_of(stack: str) -> Settings:
    """Settings of a tracked stack."""
    return changed(stack, {})


def changed(stack: str, sections: Mapping[str, Any]) -> Settings:
    """Settings of a tracked stack with some sections replaced."""
    config = stack_config(ROOT / f"Pulumi.{stack}.yaml")
    both = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()} | dict(sections)
    return parse(both, f"Pulumi.{stack}.yaml", check_secrets=False)


@cache
def objects(stack: str) -> list[Object]:
    """Objects of the stack; where the chart cannot be reached, those that stand in for it."""
    rendered = manifests(stack, ROOT / f"Pulumi.{stack}.yaml")
    if rendered.missing_charts:
        print(f"NOT PROVEN HERE: objects of {', '.join(rendered.missing_charts)}; its stand-in is judged instead")
        return [*rendered.objects, *stand_in.chart_objects(settings_of(stack))]
    return rendered.objects


def workloads(stack: str) -> list[Object]:
    """Objects of the stack that make pods."""
    return [item for item in objects(stack) if item["kind"] in WORKLOADS]
