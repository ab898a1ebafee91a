"""What `destroy` deletes at once, and what it stays with until its pods are gone; and what comes last at `up`."""

from collections.abc import Callable

import pytest

from components import chart_values
from components.deletion import AT_ONCE, OWNERS
from settings import parse
from tools.synth import Program

MINIMAL = {"cluster": {"name": "c", "distribution": "eks"}, "alertmanager": {"heartbeat": "none"}}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_what_nothing_hangs_on_goes_at_once(program_of: Callable[[str], Program], stack: str) -> None:
    objects = [r for r in program_of(stack).resources if "metadata" in r.inputs and not r.type.endswith("Patch")]
    at_once = {r.name for r in objects if AT_ONCE.items() <= r.inputs["metadata"].get("annotations", {}).items()}
    assert at_once == {r.name for r in objects if r.type.rpartition(":")[2] not in OWNERS}
    assert len(at_once) > 60
    assert {r.type.rpartition(":")[2] for r in objects if r.name not in at_once} <= OWNERS


def test_patches_of_namespaces_carry_no_policy(program_of: Callable[[str], Program]) -> None:
    for patch in program_of("dev").of_type(":NamespacePatch"):
        assert not AT_ONCE.keys() & patch.inputs["metadata"]["annotations"].keys()


def test_the_many_objects_of_the_chart_go_at_once() -> None:
    values = chart_values.values(parse(MINIMAL, "Pulumi.c.yaml"))
    assert values["defaultRules"]["annotations"] == AT_ONCE
    assert AT_ONCE.items() <= values["grafana"]["sidecar"]["dashboards"]["annotations"].items()


def test_dashboards_come_after_grafana(program_of: Callable[[str], Program]) -> None:
    program = program_of("dev")
    [chart] = program.of_type("v4:Chart")
    assert chart.urn in program.named("dashboards").dependencies
