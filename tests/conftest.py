"""What all tests share."""

import gc

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Modules and tests are kept to the end: the collector need not look through them after each test."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)
