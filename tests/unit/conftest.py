"""The program of each stack, run once on mocks."""

from collections.abc import Callable
from functools import cache

import pytest

from tools.manifests import unset_secrets
from tools.synth import ROOT, Program, placeholder, stack_config, synthesize


@cache
def run(stack: str) -> Program:
    file = ROOT / f"Pulumi.{stack}.yaml"
    config = stack_config(file)
    return synthesize(stack, config, secrets={key: placeholder(key) for key in unset_secrets(file, config)})


@pytest.fixture(scope="session", params=["dev", "prod"])
def program(request: pytest.FixtureRequest) -> Program:
    return run(request.param)


@pytest.fixture(scope="session")
def program_of() -> Callable[[str], Program]:
    return run
