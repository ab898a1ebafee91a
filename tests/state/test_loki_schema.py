"""A period of Loki's schema is appended and never changed: what it wrote could not be read any more."""

import itertools
import json
from datetime import date

from components import loki_config
from settings.logs import S3
from tests.state.releases import last_release
from tools.resources import SCHEMA
from tools.rules import stack_settings


def periods() -> list[list[str]]:
    return [list(period) for period in loki_config.SCHEMAS]


def test_periods_of_the_release_are_still_there() -> None:
    released: list[list[str]] = json.loads((last_release() / SCHEMA).read_text(encoding="utf-8"))
    assert periods()[: len(released)] == released, (
        "a period that a release has written with was changed; append one to SCHEMAS instead (docs/upgrade.md)"
    )


def test_periods_are_in_order() -> None:
    days = [date.fromisoformat(first) for first, _ in loki_config.SCHEMAS]
    assert all(earlier < later for earlier, later in itertools.pairwise(days))


def test_each_stack_has_every_period() -> None:
    for stack in ("dev", "prod"):
        settings = stack_settings(stack)
        found = loki_config.config(settings)["schema_config"]["configs"]
        assert [[item["from"], item["schema"]] for item in found] == periods()
        assert {item["object_store"] for item in found} == {
            "s3" if isinstance(settings.loki.storage, S3) else "filesystem"
        }
