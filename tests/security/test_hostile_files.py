"""Hostile rule files, dashboards and stack files: one clear error each, for little memory, never a traceback."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components import dashboard_files, rule_files, rule_shape
from components.stack import ROOT
from settings import SettingsError, strict_yaml
from tests.security.test_fuzz import QUICK, VALUES
from tools.synth import stack_config

MEMORY = 64 * 2**20
"""Bytes that no file of a few kilobytes may cost."""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
RULE = {"alert": "A", "expr": "up == 0", "labels": {"severity": "critical"}, "annotations": {"summary": "s"}}
BOARD = {"uid": "a", "title": "A", "tags": ["observability", "alerts"], "panels": []}
Files = Callable[[Path], object]


def refused(read: Files, folder: Path) -> str:
    """The message of the one error, which costs little memory and names the file."""
    tracemalloc.start()
    try:
        with pytest.raises(SettingsError) as error:
            read(folder)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    text = str(error.value)
    assert "hostile" in text
    assert "Traceback" not in text
    assert len(text) < 4000, "a person reads it"
    assert most < MEMORY
    return text


YAML_FILES: list[tuple[str | bytes, str]] = [
    (BOMB, "its aliases make more than"),
    ("groups: [{name: g, rules: [{alert: A, expr: up, labels: {a: &a {b: *a}}}]}]", "stands within what it"),
    ("groups: " + "[" * 100000, "is nested too deeply"),
    ("groups: " + "{a: " * 20000, "is nested too deeply"),
    ("- " * 30000 + "x", "is nested too deeply"),
    (b"groups: \xff\xfe", "is not UTF-8"),
    ("groups:\n  - name: a\n\x00", "is not readable as YAML"),
    ("groups: []\ngroups: []", "key 'groups' stands twice"),
    ("? [a, b]\n: c", "a key is a list or a mapping"),
    ("groups: !!python/object/apply:os.system [ls]", "is not readable as YAML"),
    ("groups: !!binary x", "is not readable as YAML"),
    ("groups: 2024-13-45", "is not readable as YAML"),
    ("groups: " + "9" * 10000, "is not readable as YAML"),
    ("groups: !!float abc", "is not readable as YAML"),
    ("groups: !!bool x", "is not readable as YAML"),
    ("groups: !!int ''", "is not readable as YAML"),
    ("groups: !!timestamp x", "is not readable as YAML"),
    ("a: b\n---\nc: d", "is not readable as YAML"),
    ("groups: *nowhere", "is not readable as YAML"),
    ("# " + "x" * 3_000_000, "are the most that is read"),
]


@pytest.mark.parametrize(("text", "message"), YAML_FILES, ids=range(len(YAML_FILES)))
def test_hostile_yaml(tmp_path: Path, text: str | bytes, message: str) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "hostile.yaml").write_bytes(content)
    assert message in refused(rule_files.load, tmp_path)
    assert message in refused(lambda folder: stack_config(folder / "hostile.yaml"), tmp_path)


RULES: list[tuple[Any, str]] = [
    (None, "needs `groups:`"),
    ({"groups": None}, "needs `groups:`"),
    ({"groups": [3]}, "group 1 needs a name"),
    ({"groups": [{"name": 3, "rules": [RULE]}]}, "group 1 needs a name"),
    ({"groups": [{"name": "g", "rules": "x"}]}, "group g needs a list of rules"),
    ({"groups": [{"name": "g", "rules": ["x"]}]}, "group g, rule 1: is no mapping"),
    ({"groups": [{"name": "g", "rules": [{**RULE, "record": "a:b"}]}]}, "needs one of alert and record"),
    ({"groups": [{"name": "g", "rules": [{"alert": "A", "labels": {}, "annotations": {}}]}]}, "has no expr"),
    ({"groups": [{"name": "g", "rules": [{**RULE, "expr": 1}]}]}, "expr is no text"),
    ({"groups": [{"name": "g", "rules": [{**RULE, "for": 5}]}]}, "for is no text"),
    ({"groups": [{"name": "g", "rules": [{**RULE, "labels": ["a"]}]}]}, "labels is no mapping of texts"),
    ({"groups": [{"name": "g", "rules": [{**RULE, "annotations": {"a": 1}}]}]}, "annotations is no mapping of texts"),
    ({"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "up"}]}]}, "has no labels"),
    ({"groups": [{"name": "g", "rules": [{"record": "a:b", "expr": "up", "for": "5m"}]}]}, "so it has no for"),
]


@pytest.mark.parametrize(("content", "message"), RULES, ids=range(len(RULES)))
def test_rules_of_a_wrong_shape(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "hostile.yaml").write_text(yaml.safe_dump(content))
    assert message in refused(rule_files.load, tmp_path)


def test_a_file_of_many_mistakes_names_some(tmp_path: Path) -> None:
    (tmp_path / "hostile.yaml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [1] * 5000}]}))
    assert len(refused(rule_files.load, tmp_path).splitlines()) == rule_files.MOST + 1


BOARDS: list[tuple[str | bytes, str]] = [
    ("[" * 200000, "is nested too deeply"),
    ('{"a":' * 200000, "is nested too deeply"),
    (b'{"uid": "\xff"}', "is not readable as JSON"),
    ('{"uid": "a", "uid": "b"}', "key 'uid' stands twice"),
    ('{"uid": ' + "9" * 10000 + "}", "is not readable as JSON"),
    ("{} {}", "is not readable as JSON"),
    ("[]", "needs a uid and a title"),
    (json.dumps({**BOARD, "uid": {}}), "needs a uid and a title"),
    (json.dumps({**BOARD, "tags": {}}), "its second tag must be its topic"),
    (json.dumps({**BOARD, "tags": ["a", ["alerts"]]}), "its second tag must be its topic"),
    (json.dumps({**BOARD, "panels": "x"}), "panels and templating.list must be lists"),
    (json.dumps({**BOARD, "panels": [None]}), "panels and templating.list must be lists"),
    (json.dumps({**BOARD, "templating": 3}), "panels and templating.list must be lists"),
    (json.dumps({**BOARD, "templating": {"list": [3]}}), "panels and templating.list must be lists"),
    (json.dumps({**BOARD, "description": "x" * 1_100_000}), "is larger than a ConfigMap can hold"),
    ('{"uid": "' + "x" * 3_000_000 + '"}', "is larger than a ConfigMap can hold"),
]


@pytest.mark.parametrize(("text", "message"), BOARDS, ids=range(len(BOARDS)))
def test_hostile_dashboards(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / "hostile.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert message in refused(dashboard_files.load, tmp_path)


KEYS = st.sampled_from(["alert", "record", "expr", "for", "labels", "annotations", "severity", "summary"])


@QUICK
@given(st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)))
def test_any_rule_is_read_or_refused(value: Any) -> None:
    """Whatever stands in the place of a rule: refused with a reason, or of the shape that is built upon."""
    content = {"groups": [{"name": "host.g", "rules": [value, RULE]}]}
    found = list(rule_shape.mistakes(content))
    if not found:
        assert isinstance(value, dict)
        assert isinstance(value["expr"], str)


@QUICK
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        strict_yaml.read(path)
    except strict_yaml.StrictYamlError as error:
        assert str(error)


def test_our_own_files_are_read() -> None:
    for folder in ("prometheus", "loki"):
        assert rule_files.load(ROOT / "rules" / folder)
    assert dashboard_files.load(ROOT / "dashboards")


def test_a_modest_alias_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a {b: 1}\nc: *a\nd: {<<: *a, e: 2}\n")
    assert strict_yaml.read(tmp_path / "a.yaml") == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}
