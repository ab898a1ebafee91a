"""What states come of a journal whose entries are written by hand."""

import copy
from typing import Any

import pytest

from bench.journal_replay import Kind, empty, replay

Json = dict[str, Any]


def urn(name: str, kinds: str = "kind") -> str:
    return f"urn:pulumi:bench::grow::{kinds}::{name}"


def resource(name: str, **more: Any) -> Json:
    return {"urn": urn(name), "custom": True, "type": "kind", **more}


def base(*resources: Json, **more: Any) -> Json:
    return {**empty(), "resources": list(resources), **more}


class Journal:
    """Entries as the CLI numbers them."""

    def __init__(self) -> None:
        self.entries: list[Json] = []

    def add(self, kind: Kind, number: int = 0, **more: Any) -> "Journal":
        count = len(self.entries) + 1
        self.entries.append({"version": 1, "kind": int(kind), "sequenceID": count, "operationID": number, **more})
        return self

    def begin(self, operation: int, kind: str, of: Json) -> "Journal":
        return self.add(Kind.BEGIN, operation, operation={"resource": of, "type": kind})

    def success(self, operation: int, **more: Any) -> "Journal":
        return self.add(Kind.SUCCESS, operation, **more)

    def on(self, before: Json) -> Json:
        kept = copy.deepcopy((before, self.entries))
        found = replay(before, self.entries)
        assert (before, self.entries) == kept  # an export in the midst of a run leaves it as it is
        deployment: Json = found["deployment"]
        return deployment


def names(state: Json) -> list[str]:
    return [one["urn"].rsplit("::", 1)[-1] for one in state.get("resources", [])]


def pending(state: Json) -> list[tuple[str, str]]:
    found = state.get("pending_operations", [])
    return [(one["resource"]["urn"].rsplit("::", 1)[-1], one["type"]) for one in found]


def test_what_is_begun_is_pending_until_it_ends() -> None:
    journal = Journal().begin(1, "creating", resource("a")).begin(2, "creating", resource("b"))
    journal.begin(3, "creating", resource("c"))
    assert pending(journal.on(empty())) == [("a", "creating"), ("b", "creating"), ("c", "creating")]
    journal.success(2, state=resource("b")).add(Kind.FAILURE, 3, state=resource("c"))
    state = journal.on(empty())
    assert (names(state), pending(state)) == (["b"], [("a", "creating")])


def test_new_ones_come_before_what_is_left_of_the_base() -> None:
    journal = Journal().success(1, state=resource("new")).success(2, state=resource("b", inputs={"x": 2}), removeOld=1)
    journal.success(3, removeOld=0)
    state = journal.on(base(resource("a"), resource("b"), resource("c")))
    assert names(state) == ["new", "b", "c"]
    assert state["resources"][1]["inputs"] == {"x": 2}


def test_one_that_this_run_made_can_go_again() -> None:
    journal = Journal().success(1, state=resource("a")).success(2, state=resource("b")).success(3, removeNew=1)
    assert names(journal.on(empty())) == ["b"]


def test_a_replacement_marks_the_old_one_until_it_is_deleted() -> None:
    before = base(resource("a", id="old"))
    journal = Journal().success(1, state=resource("a", id="new"), deleteOld=0)
    marked = journal.on(before)["resources"]
    assert [(one["id"], one.get("delete", False)) for one in marked] == [("new", False), ("old", True)]
    journal.success(2, removeOld=0)
    assert [one["id"] for one in journal.on(before)["resources"]] == ["new"]


def test_marks_of_what_this_run_made_and_of_what_is_deleted_first() -> None:
    journal = Journal().success(1, state=resource("a")).success(2, state=resource("b"))
    journal.success(3, deleteNew=1).success(4, pendingReplacementNew=2).success(5, pendingReplacementOld=0)
    found = {one["urn"]: one for one in journal.on(base(resource("c")))["resources"]}
    assert found[urn("a")]["delete"] is True
    assert found[urn("b")]["pendingReplacement"] is True
    assert found[urn("c")]["pendingReplacement"] is True


def test_outputs_go_where_the_resource_is() -> None:
    journal = Journal().success(1, state=resource("new"))
    journal.add(Kind.OUTPUTS, 2, state=resource("new", outputs={"x": 1}), removeNew=1)
    journal.add(Kind.OUTPUTS, 3, state=resource("old", outputs={"x": 2}), removeOld=0)
    state = journal.on(base(resource("old"), resource("last")))
    assert names(state) == ["new", "old", "last"]
    assert [one.get("outputs") for one in state["resources"]] == [{"x": 1}, {"x": 2}, None]


def test_nothing_speaks_of_what_a_refresh_found_gone() -> None:
    left = resource(
        "left",
        parent=urn("gone"),
        deletedWith=urn("gone"),
        dependencies=[urn("gone"), urn("kept")],
        propertyDependencies={"x": [urn("gone")], "y": [urn("kept")]},
    )
    journal = Journal().add(Kind.REFRESH_SUCCESS, 1, removeOld=0, isRefresh=True)
    journal.add(Kind.REFRESH_SUCCESS, 2, removeOld=1, state=resource("kept", outputs={"x": 1}), isRefresh=True)
    state = journal.on(base(resource("gone"), resource("kept"), left))
    kept = resource("left", dependencies=[urn("kept")], propertyDependencies={"y": [urn("kept")]})
    assert state["resources"] == [resource("kept", outputs={"x": 1}), kept]


def test_after_a_rebuilt_base_the_numbers_are_those_of_the_new_base() -> None:
    journal = Journal().add(Kind.REFRESH_SUCCESS, 1, removeOld=0).add(Kind.REBUILT_BASE_STATE)
    journal.success(2, removeOld=1)
    assert names(journal.on(base(resource("gone"), resource("kept"), resource("deleted")))) == ["kept"]


def test_a_write_is_a_new_base() -> None:
    journal = Journal().add(Kind.WRITE, newSnapshot=base(resource("x"), resource("y"))).success(1, removeOld=0)
    assert names(journal.on(base(resource("a")))) == ["y"]


def test_the_secrets_provider_is_the_last_one_named() -> None:
    provider = {"type": "passphrase", "state": {"salt": "v1"}}
    state = Journal().add(Kind.SECRETS_MANAGER, secretsProvider=provider).on(base(secrets_providers={"type": "old"}))
    assert state["secrets_providers"] == provider


def test_only_the_user_ends_a_creation_of_an_earlier_run() -> None:
    left = [{"resource": resource(kind), "type": kind} for kind in ("creating", "deleting")]
    journal = Journal().success(1, state=resource("a"))
    assert pending(journal.on(base(pending_operations=left))) == [("creating", "creating")]


def test_who_spoke_of_an_alias_speaks_of_the_new_name() -> None:
    old, new = urn("group", "group"), urn("team", "team")
    team = {**resource("team", aliases=[old]), "urn": new, "type": "team"}
    child = {**resource("child", parent=old), "urn": urn("child", "group$kind")}
    other = resource("other", dependencies=[old, child["urn"]], provider=f"{old}::identity")
    state = Journal().success(1, state=team, removeOld=0).on(base(resource("group"), child, other))
    assert state["resources"] == [
        {**resource("team"), "urn": new, "type": "team"},
        {**resource("child", parent=new), "urn": urn("child", "team$kind")},
        resource("other", dependencies=[new, urn("child", "team$kind")], provider=f"{new}::identity"),
    ]


def test_a_state_says_what_its_reader_must_know_of() -> None:
    plain = replay(base(resource("a")), [])
    assert (plain["version"], plain["features"]) == (3, [])
    journal = Journal().success(1, state=resource("a", taint=True), requiresByteString=True)
    found = replay(empty(), journal.entries)
    assert (found["version"], found["features"]) == (4, ["byteString", "taint"])


def test_entries_are_taken_by_their_sequence() -> None:
    journal = Journal().success(1, state=resource("a")).success(2, state=resource("b")).success(3, removeNew=1)
    assert names(replay(empty(), reversed(journal.entries))["deployment"]) == ["b"]


@pytest.mark.parametrize("wrong", [{"removeOld": 1}, {"deleteOld": -1}, {"removeNew": 7}, {"deleteNew": 7}])
def test_an_entry_that_speaks_of_nothing_is_an_error(wrong: Json) -> None:
    with pytest.raises(ValueError, match="the journal speaks of"):
        Journal().success(1, **wrong).on(base(resource("a")))
