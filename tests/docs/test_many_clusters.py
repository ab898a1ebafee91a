"""Fifty stack files in one command: half a minute and more, so not among the fast tests."""

from pathlib import Path

from tests.unit.test_new_cluster import check_clusters


def test_fifty_clusters_in_one_command(tmp_path: Path) -> None:
    check_clusters(tmp_path, 50)
