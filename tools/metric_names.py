"""Writes what an exporter has as a file of tests/rules/metrics: names of its metrics and of their labels.

    python -m tools.metric_names --exporter node-exporter --version v1.12.1 --source "scraped" URL_OR_FILE...

Several pages of one exporter are merged, and merged into what the file already has with --into FILE.
"""

import argparse
import re
import sys
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import yaml

from tools.console import UserError, run

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="(?:[^"\\]|\\.)*"')
_TYPE = re.compile(r"^# TYPE (\S+) (\w+)")
SECONDS = 30


def names(page: str) -> dict[str, set[str]]:
    """Metric names of a text page in Prometheus' format, with the names of their labels."""
    found: dict[str, set[str]] = {}
    for line in page.splitlines():
        declared = _TYPE.match(line)
        if declared:
            for suffix in ("_bucket", "_sum", "_count") if declared[2] == "histogram" else ():
                found.setdefault(declared[1] + suffix, {"le"} if suffix == "_bucket" else set())
            continue
        sample = _SAMPLE.match(line)
        if sample:
            found.setdefault(sample[1], set()).update(_LABEL.findall(sample[2] or ""))
    return found


def merge(pages: Iterable[dict[str, set[str]]]) -> dict[str, list[str]]:
    """All names and labels of several pages, sorted."""
    merged: dict[str, set[str]] = {}
    for page in pages:
        for name, labels in page.items():
            merged.setdefault(name, set()).update(labels)
    return {name: sorted(merged[name]) for name in sorted(merged)}


def text(head: dict[str, object], metrics: dict[str, list[str]]) -> str:
    """The file: a head, and one line a metric."""
    lines = [f"  {name}: [{', '.join(labels)}]" for name, labels in metrics.items()]
    return yaml.safe_dump(head, sort_keys=False, width=110) + "\n".join(["metrics:", *lines, ""])


def _read(place: str) -> str:
    try:
        if place.startswith(("http://", "https://")):
            with urlopen(place, timeout=SECONDS) as answer:  # noqa: S310 (only http and https get here)
                return str(answer.read().decode())
        return Path(place).read_text(encoding="utf-8")
    except (OSError, ValueError, HTTPException) as error:
        raise UserError(f"{place} cannot be read: {error}; give the URL or the file of a page of metrics") from None


def main() -> None:
    """Print the file, or rewrite it with --into. Raises UserError where a page cannot be read."""
    parser = argparse.ArgumentParser(description="List the metrics of an exporter.")
    parser.add_argument("--exporter", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--source", required=True, help="how the names were obtained")
    parser.add_argument("--target", default="", help="labels that scraping adds, apart from the usual ones")
    parser.add_argument("--into", type=Path, help="file to add to")
    parser.add_argument("places", nargs="+", metavar="URL_OR_FILE")
    given = parser.parse_args()
    pages = [names(_read(place)) for place in given.places]
    if given.into and given.into.exists():
        old = yaml.safe_load(given.into.read_text(encoding="utf-8"))
        pages.append({name: set(labels) for name, labels in old["metrics"].items()})
    target = [label for label in given.target.split(",") if label]
    head = {"exporter": given.exporter, "version": given.version, "source": given.source, "target": target}
    result = text(head, merge(pages))
    if given.into:
        given.into.write_text(result, encoding="utf-8")
    else:
        sys.stdout.write(result)


if __name__ == "__main__":
    run(main)
