"""The fast reader of YAML gives what the strict one gives, or leaves the text to it.

It takes a little more, such as a comment that stands right behind `|`; it never reads something else.
"""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from settings import strict_yaml
from tools.synth import ROOT

FILES = [path for folder in ("rules", "settings", "tests/rules") for path in sorted((ROOT / folder).rglob("*.yaml"))]
TEXTS = [
    "",
    "a: &a {b: 1}\nc: *a\nd: {<<: *a, e: 2}\n",
    "\ufeffa: 1",
    "a: 0o17\nb: 017\nc: 1_000\nd: 12:30:45\ne: yes\nf: ~\ng: 2026-02-03\nh: .inf\ni: 0x1F\n",
    "a: |\n  text\n\n\nb: >-\n  more\n  text\n",
    "a: 'it''s'\nb: \"\\u00e9\\t\"\n",
    "a:\t1",
    "a: [1, 2,]\n",
    "{a: b, c}",
    "a: !!str 1",
    "a: ! b",
    "key with spaces: {x: [a, {b: c}]}",
]


def same(text: str) -> bool:
    """Whether both readers take the text; where they do, they have to give the same."""
    try:
        found, expected = strict_yaml._fast(text), strict_yaml._read(text)
    except strict_yaml._WRONG:
        return False
    assert repr(found) == repr(expected)
    return True


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_our_files_are_read_by_the_fast_one(path: Path) -> None:
    assert same(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_odd_texts(text: str) -> None:
    same(text)


LINES = st.text("ab:-[]{}&*!|>'\"#%,? \n\t01.~<", max_size=40)


@settings(derandomize=True, deadline=None)
@given(LINES)
def test_any_text(text: str) -> None:
    same(text)


def test_a_mistake_is_told_by_the_strict_one(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\nb: [\n")
    with pytest.raises(strict_yaml.StrictYamlError, match=r"line 3, column 1:\n") as error:
        strict_yaml.read(file)
    with pytest.raises(yaml.YAMLError):
        strict_yaml._fast(file.read_text())
    assert "while parsing" in str(error.value)
