"""Any stack file gives one clear settings error, or a stack whose objects can be made. Never another exception.

OBSERVABILITY_FUZZ_EXAMPLES sets how many files are made of each kind; the default is for every run of the fast tests.
"""

import copy
import json
import os
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from settings import Settings, SettingsError, parse
from settings.reader import PROJECT, secret_keys
from tools.manifests import objects_of
from tools.synth import ROOT, stack_config, synthesize

set_hypothesis_home_dir(ROOT / "out" / "hypothesis")
EXAMPLES = int(os.environ.get("OBSERVABILITY_FUZZ_EXAMPLES", "300"))
SYNTHESIZED = max(10, EXAMPLES // 10)
"""The program itself runs for a share of them: one run takes half a second."""
QUICK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES <= 300,
)
SLOW = settings(QUICK, max_examples=SYNTHESIZED)


def sections(stack: str) -> dict[str, Any]:
    config = stack_config(ROOT / f"Pulumi.{stack}.yaml")
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}


STACKS = [sections("dev"), sections("prod")]
KNOWN = [field.alias or name for name, field in Settings.model_fields.items()]
WORDS = st.sampled_from(
    ["", "none", "30s", "0s", "10d", "1Gi", "-1", "90%", "~", "https://x.example", "a:b@c", "{{ x }}", "${x}", "é\n"]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=True),
    st.text(max_size=20),
    WORDS,
    st.dates(),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested mappings and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(place for key, item in inner for place in places(item, (*path, key)))]


@st.composite
def stack_files(draw: st.DrawFn) -> dict[str, Any]:
    """A tracked stack file with up to three places replaced, removed or joined by an unknown key."""
    file: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(STACKS)))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(places(file) or [("cluster",)]))
        holder: Any = file
        for key in way:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "replace", "remove", "swap", "add"])):
            case "replace" if not isinstance(holder, list) or last < len(holder):
                holder[last] = draw(VALUES)
            case "remove":
                del holder[last]
            case "swap":
                other = draw(st.sampled_from(STACKS))
                holder[last] = copy.deepcopy(other[draw(st.sampled_from(sorted(other)))])
            case _ if isinstance(holder, dict):
                holder[draw(st.sampled_from(KNOWN) | st.text(max_size=8))] = draw(VALUES)
    return file


def read(file: dict[str, Any]) -> Settings | None:
    """Settings, or None where the file is refused with a message for a person."""
    try:
        return parse(file, "Pulumi.fuzz.yaml", check_secrets=False)
    except SettingsError as error:
        first, *mistakes = str(error).splitlines()
        assert first == "The stack file has mistakes:"
        assert mistakes
        assert "Traceback" not in str(error)
        return None


@QUICK
@given(stack_files())
def test_settings_or_a_clear_error(file: dict[str, Any]) -> None:
    read(file)


@QUICK
@given(st.dictionaries(st.sampled_from(KNOWN) | st.text(max_size=8), VALUES, max_size=5))
def test_nonsense_is_a_clear_error(file: dict[str, Any]) -> None:
    assert read(file) is None


@SLOW
@given(stack_files())
def test_what_is_accepted_can_be_made(file: dict[str, Any]) -> None:
    accepted = read(file)
    if accepted is None:
        return
    config = {f"{PROJECT}:{key}": value for key, value in file.items()}
    try:
        program = synthesize("fuzz", config, secrets=dict.fromkeys(secret_keys(accepted), "x"))
    except SettingsError:
        return
    for resource in program.resources:
        item = objects_of(resource)
        if item is not None:
            assert item["metadata"]["name"]
            yaml.safe_dump(json.loads(json.dumps(item)))
