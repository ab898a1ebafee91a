"""Planted secrets: each lands in a Secret object and nowhere else, in plain, base64 or gzip."""

import base64
import functools
import gzip
from pathlib import Path
from typing import Any

import pytest

from settings.reader import secret_keys
from tests.security.canaries import LOKI_WITH_KEYS, hits, planted, planted_ca
from tests.security.stacks import changed
from tools.manifests import CHART, RELEASE, manifests, objects_of
from tools.synth import ROOT, Program, stack_config, synthesize

CA = "centralCa"
STORAGE_KEYS: dict[str, Any] = {
    "loki": LOKI_WITH_KEYS,
    "centralLogs": {"url": "https://logs.example.com", "passwordSecret": "hubLogs", "caSecret": CA},
    "hub": {"logSenders": [{"cluster": "edge", "passwordSecret": "edgeLogs"}]},
}
"""Keys of a bucket, and passwords between a cluster and its hub: no tracked stack has them."""


def test_the_search_finds_each_form() -> None:
    secrets = {"key": planted("key")}
    text = secrets["key"].encode()
    forms = {
        "plain": text,
        "base64": base64.b64encode(text),
        "base64 in a longer one": base64.b64encode(b"user:" + text + b" and more"),
        "urlsafe": base64.urlsafe_b64encode(b"\xff\xfe\xfd" + text),
        "gzip": gzip.compress(text),
        "base64 of gzip": base64.b64encode(gzip.compress(b"x" * 100 + text)),
        "twice": base64.b64encode(base64.b64encode(gzip.compress(text))),
    }
    for name, form in forms.items():
        value: Any = form if name == "gzip" else {"data": form.decode()}
        assert hits(value, secrets) == {"key"}, name
    assert hits({"data": base64.b64encode(b"nothing").decode()}, secrets) == set()


@functools.cache
def program(name: str) -> tuple[Program, dict[str, str]]:
    """Stack prod with a recognisable value in every secret setting and every generated password."""
    config = stack_config(ROOT / "Pulumi.prod.yaml")
    sections = STORAGE_KEYS if name == "keys" else {}
    config |= {f"observability:{section}": content for section, content in sections.items()}
    secrets = {key: planted(key) for key in secret_keys(changed("prod", sections))}
    given = secrets | ({CA: planted_ca(CA)} if name == "keys" else {})
    made = synthesize("prod", config, secrets=given, password=planted)
    generated = {r.name: planted(r.name) for r in made.resources if r.type.endswith("RandomPassword")}
    return made, secrets | generated


@pytest.mark.parametrize("name", ["tracked", "keys"])
def test_secrets_are_in_secret_objects_alone(name: str) -> None:
    found, secrets = program(name)
    assert len(secrets) >= 8
    searched, holders = 0, set()
    for resource in found.resources:
        item = objects_of(resource)
        kind = item["kind"] if item else resource.type
        there = hits(resource.inputs, secrets)
        searched += 1
        if kind == "Secret":
            holders |= there
            assert not there or resource.secret, f"{resource.name} is not marked as secret"
            assert not hits(resource.inputs["metadata"], secrets)
        else:
            assert there == set(), f"{kind} {resource.name}"
    print(f"{name}: {len(secrets)} secrets planted, {searched} resources searched, 0 outside Secret objects")
    salts = {secret for secret in secrets if "salt" in secret}
    # Of a sender's password the gateway keeps a hash alone.
    assert holders >= set(secrets) - salts - {"edgeLogs"}, "each secret has its object"
    for component, outputs in found.outputs.items():
        assert hits(outputs, secrets) == set(), component


def test_values_of_charts_carry_none() -> None:
    found, secrets = program("tracked")
    charts = [resource for resource in found.resources if resource.type in {CHART, RELEASE}]
    assert charts
    for chart in charts:
        assert not chart.secret, "one unknown or secret value would empty the chart's preview"
        assert hits(chart.inputs, secrets) == set()


def test_rendered_objects_carry_none(tmp_path: Path) -> None:
    """Objects of the charts too, where they can be rendered."""
    rendered = manifests("prod", ROOT / "Pulumi.prod.yaml", secrets=planted, password=planted)
    if rendered.missing_charts:
        print(f"NOT PROVEN HERE: objects of {', '.join(rendered.missing_charts)}, whose chart cannot be reached")
    secrets = program("tracked")[1]
    for item in rendered.objects:
        if item["kind"] != "Secret":
            assert hits(item, secrets) == set(), item["metadata"]["name"]


def test_a_planted_leak_is_found() -> None:
    """The search bites on a real object."""
    found, secrets = program("tracked")
    resource = next(resource for resource in found.of_type(":ConfigMap"))
    leak = base64.b64encode(gzip.compress(secrets["telegramToken"].encode())).decode()
    assert hits({**resource.inputs, "binaryData": {"x": leak}}, secrets) == {"telegramToken"}
