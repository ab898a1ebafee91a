"""No resource of the last release is renamed without an alias, or gone without a word."""

from functools import cache

import pulumi
import pytest

from tests.state.releases import former, last_release
from tests.state.removed import REMOVED
from tools.resources import STACKS, identities, program
from tools.synth import Program


@cache
def now(stack: str) -> Program:
    return program(stack)


def lost(released: list[str], present: set[str]) -> list[str]:
    """Identities of a release that no resource has or had, and nobody said that they go."""
    return [item for item in released if item not in present and item not in REMOVED]


@pytest.mark.parametrize("stack", STACKS)
def test_resources_of_the_release_are_still_known(stack: str) -> None:
    released = (last_release() / f"{stack}.txt").read_text(encoding="utf-8").splitlines()
    assert len(released) > 50
    gone = lost(released, former(now(stack).resources))
    assert gone == [], (
        f"Stack {stack} of release {last_release().name} has resources that the engine would now delete:\n"
        + "\n".join(f"  {item}" for item in gone)
        + "\nA renamed or moved one needs `aliases=[pulumi.Alias(name=..., parent=...)]` in its options; "
        "one that really goes is named in tests/state/removed.py with the reason."
    )


def test_what_was_removed_is_really_gone() -> None:
    present = {item for stack in STACKS for item in identities(now(stack).resources)}
    assert not present & set(REMOVED), "take it out of tests/state/removed.py"
    assert all(REMOVED.values()), "a removal says why"


class Group(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Group", name, {}, opts)


class Item(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Item", name, {}, opts)


@pytest.mark.parametrize(
    ("alias", "known"),
    [
        (None, False),
        (pulumi.Alias(name="old"), True),
        (pulumi.Alias(name="other"), False),
        (pulumi.Alias(name="old", type_="test:index:Other"), False),
    ],
)
def test_a_rename_is_found_unless_it_has_an_alias(
    monkeypatch: pytest.MonkeyPatch, alias: pulumi.Alias | None, known: bool
) -> None:
    def rename() -> None:
        group = Group("group")
        Item("new", pulumi.ResourceOptions(parent=group, aliases=[alias] if alias else None))

    # The real program in the small: its registrations are recorded in the same way.
    monkeypatch.setattr("tools.synth.runpy.run_path", lambda _path: rename())
    resources = now.__wrapped__("dev").resources
    assert identities(resources) == ["test:index:Group$test:index:Item::new", "test:index:Group::group"]
    released = ["test:index:Group$test:index:Item::old", "test:index:Group::group"]
    assert (lost(released, former(resources)) == []) is known


def test_a_renamed_parent_keeps_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    def move() -> None:
        group = Item("group", pulumi.ResourceOptions(aliases=[pulumi.Alias(type_="test:index:Group")]))
        Item("child", pulumi.ResourceOptions(parent=group))

    monkeypatch.setattr("tools.synth.runpy.run_path", lambda _path: move())
    released = ["test:index:Group::group", "test:index:Group$test:index:Item::child"]
    assert lost(released, former(now.__wrapped__("dev").resources)) == []
