"""Objects of the tracked stacks, as one file each."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.security.stacks import STACKS, objects


def without_nulls(value: Any) -> Any:
    """The value as the API server takes it: charts write null for what is not set."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file of all objects for each tracked stack, with placeholders in the place of secrets."""
    folder = tmp_path_factory.mktemp("objects")
    found = {}
    for stack in STACKS:
        found[stack] = folder / f"{stack}.yaml"
        found[stack].write_text(yaml.safe_dump_all(without_nulls(objects(stack)), sort_keys=False), encoding="utf-8")
    return found
