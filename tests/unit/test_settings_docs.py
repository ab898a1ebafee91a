"""The page and the schema of the settings are what the models say."""

import json

from tools.settings_docs import PAGE, SCHEMA, page, schema


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: make docs"


def test_schema_is_up_to_date() -> None:
    assert json.loads(SCHEMA.read_text()) == schema(), "run: make docs"
