"""Digests: asked of a registry as the real ones speak, written to the lock, and required by a stack."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components import images
from components.chart_values import values
from components.images import OPTIONAL, needed, read_lock
from components.versions import IMAGES
from settings import SettingsError
from settings.reader import PROJECT, secret_keys
from tests.security import registry
from tests.security.registry import Registry, digest_of
from tests.security.stacks import changed
from tools.backup import claims
from tools.console import UserError
from tools.manifests import images as images_of
from tools.manifests import objects_of
from tools.pin_images import pin_images
from tools.synth import ROOT, stack_config, synthesize

REQUIRED = {"security": {"requireDigests": True}}
NO_GRAFANA: dict[str, Any] = {"grafana": {"enabled": False}, "cloudflareTunnel": {"mode": "off"}}


@pytest.fixture
def fixture() -> Iterator[Registry]:
    with registry.running() as found:
        yield found


def test_digests_are_asked_for_and_written(fixture: Registry, tmp_path: Path) -> None:
    contents = {"team/app:1.2.3": b"an index", "other/app:v2": b"another"}
    wanted = {fixture.reference(name, content): digest_of(content) for name, content in contents.items()}
    lock = tmp_path / "images.lock"
    pin_images(wanted, lock)
    assert read_lock(lock) == wanted
    assert "token repository:team/app:pull" in fixture.seen
    # Again: nothing changes.
    text = lock.read_text()
    pin_images(wanted, lock)
    assert lock.read_text() == text


def test_a_registry_without_tokens_answers_too(fixture: Registry, tmp_path: Path) -> None:
    fixture.challenge = "none"
    reference = fixture.reference("app:1.0.0", b"index")
    assert pin_images([reference], tmp_path / "images.lock").digests == {reference: digest_of(b"index")}


@pytest.mark.parametrize(
    ("challenge", "says_digest", "name", "message"),
    [
        ("bearer", True, "missing:1.0.0", "answers 404"),
        ("basic", True, "app:1.0.0", "asks for credentials"),
        ("bearer", False, "app:1.0.0", "gives no digest"),
    ],
)
def test_what_is_not_answered_is_said_and_not_written(
    fixture: Registry, tmp_path: Path, challenge: str, says_digest: bool, name: str, message: str
) -> None:
    fixture.manifests["app:1.0.0"] = b"index"
    fixture.challenge, fixture.says_digest = challenge, says_digest
    reference = f"{fixture.address}/{name}"
    with pytest.raises(UserError, match=f"{reference}: .*{message}"):
        pin_images([reference], tmp_path / "images.lock")
    assert not (tmp_path / "images.lock").exists()


def test_nobody_there_keeps_what_was_known(tmp_path: Path) -> None:
    with registry.running() as found:
        reference = found.reference("app:1.0.0", b"index")
        pin_images([reference], tmp_path / "images.lock")
    with pytest.raises(UserError, match="No answer for 1 images"):
        pin_images([reference], tmp_path / "images.lock")
    assert read_lock(tmp_path / "images.lock") == {reference: digest_of(b"index")}


def test_a_moved_tag_is_not_taken_silently(fixture: Registry, tmp_path: Path) -> None:
    lock = tmp_path / "images.lock"
    reference = fixture.reference("app:1.0.0", b"before")
    pin_images([reference], lock)
    fixture.manifests["app:1.0.0"] = b"after"
    with pytest.raises(UserError, match="A tag that moves"):
        pin_images([reference], lock)
    assert read_lock(lock) == {reference: digest_of(b"before")}
    pin_images([reference], lock, accept_moved=True)
    assert read_lock(lock) == {reference: digest_of(b"after")}


def test_an_image_that_is_no_longer_in_use_leaves_the_lock(fixture: Registry, tmp_path: Path) -> None:
    old, new = (fixture.reference(name, b"index") for name in ("app:1.0.0", "app:2.0.0"))
    pin_images([old], tmp_path / "images.lock")
    pin_images([new], tmp_path / "images.lock")
    assert list(read_lock(tmp_path / "images.lock")) == [new]


def test_a_line_by_hand_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images.lock").write_text("# head\n\nregistry.example.com/app:1.0 sha256:abc\n")
    with pytest.raises(SettingsError, match=r"images\.lock:3: .*make pin-images"):
        read_lock(tmp_path / "images.lock")


def pinned(monkeypatch: pytest.MonkeyPatch, *without: str) -> None:
    digests = {image.reference: digest_of(name.encode()) for name, image in IMAGES.items() if name not in without}
    monkeypatch.setattr(images, "_lock", lambda: digests)


def program_images(sections: dict[str, Any]) -> list[str]:
    config = stack_config(ROOT / "Pulumi.prod.yaml")
    config |= {f"{PROJECT}:{key}": value for key, value in sections.items()}
    secrets = dict.fromkeys(secret_keys(changed("prod", sections)), "x")
    found = [objects_of(resource) for resource in synthesize("prod", config, secrets=secrets).resources]
    return images_of([item for item in found if item])


ALL = {
    **REQUIRED,
    "dcgm": {"mode": "deploy"},
    "events": {"mode": "deploy"},
}


@pytest.mark.parametrize("agent", ["promtail", "alloy"])
def test_a_stack_that_requires_digests_runs_by_them_alone(monkeypatch: pytest.MonkeyPatch, agent: str) -> None:
    pinned(monkeypatch)
    sections = {**ALL, "logAgent": {"program": agent}}
    found = program_images(sections)
    assert len(found) >= 6
    for reference in found:
        tagged, _, digest = reference.partition("@")
        assert digest == images._lock()[tagged]
    # The chart's images are those of its values, in the three forms that its parts want.
    chosen = values(changed("prod", sections))
    for part, key, prefix in (
        (chosen["prometheus"]["prometheusSpec"], "sha", ""),
        (chosen["prometheusOperator"], "sha", ""),
        (chosen["prometheusOperator"]["prometheusConfigReloader"], "sha", ""),
        (chosen["grafana"], "sha", ""),
        (chosen["grafana"]["sidecar"], "sha", ""),
        (chosen["kube-state-metrics"], "sha", "sha256:"),
        (chosen["prometheus-node-exporter"], "digest", "sha256:"),
    ):
        given = part["image"][key]
        assert given.startswith(prefix)
        assert f"sha256:{given.removeprefix('sha256:')}" in images._lock().values()
        assert len(given) == 64 + len(prefix)


def test_what_the_lock_lacks_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned(monkeypatch, "loki", "grafana", "alloy", "dcgm-exporter")
    with pytest.raises(SettingsError) as error:
        program_images({**REQUIRED, "events": {"mode": "off"}})
    text = str(error.value)
    assert "make pin-images" in text
    assert IMAGES["loki"].reference in text
    assert IMAGES["grafana"].reference in text
    assert "alloy" not in text, "the stack runs none"
    assert "dcgm" not in text, "the stack runs none"


def test_a_tool_that_needs_an_image_of_a_stale_lock_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned(monkeypatch, "alertmanager")
    with pytest.raises(SettingsError, match=r"images\.lock has no digest of .*alertmanager:.*make pin-images"):
        claims.pod(changed("prod", REQUIRED), "data-loki-0", 10001, None)


def test_the_local_cluster_cannot_require_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned(monkeypatch)
    with pytest.raises(SettingsError, match="requireDigests: images of the local cluster"):
        images.check(changed("dev", REQUIRED))


def test_without_the_setting_no_lock_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned(monkeypatch, *IMAGES)
    assert all("@" not in reference for reference in program_images({}))


def test_needed_is_what_a_stack_runs() -> None:
    """Every image in the objects of a stack is among those that the check asks for."""
    names = {image.reference: name for name, image in IMAGES.items()}
    for agent in ("promtail", "alloy"):
        sections = {"logAgent": {"program": agent}, "events": {"mode": "off"}, **NO_GRAFANA}
        asked = set(needed(changed("prod", sections)))
        run = {names[reference] for reference in program_images(sections)}
        assert run <= asked
        # Beside the chart's own, which are in its values, none is asked for in vain.
        assert {name for name in OPTIONAL if name in asked} <= run
