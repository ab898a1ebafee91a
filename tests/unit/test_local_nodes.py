"""Which nodes a start of the local cluster waits for."""

import json
import sys
from pathlib import Path

import pytest

from tools.cluster import local, node
from tools.cluster.kubectl import not_ready_nodes
from tools.cluster.state import State
from tools.console import UserError

KUBECTL = f"""\
#!{sys.executable}
import sys
from pathlib import Path
print("ok" if "--raw=/readyz" in sys.argv else Path(__file__).with_name("nodes.json").read_text(), end="")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose kubectl reads the nodes from the file `nodes.json` beside it."""
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setattr("tools.binaries.find", lambda name: tmp_path / name)
    return tmp_path


def registered(folder: Path, **ready: bool) -> None:
    """Let these nodes exist, Ready or not."""
    items = [
        {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": str(is_ready)}]}}
        for name, is_ready in ready.items()
    ]
    (folder / "nodes.json").write_text(json.dumps({"items": items}))


def test_a_node_that_has_not_registered_is_not_ready(folder: Path) -> None:
    registered(folder, fake=True)
    assert not_ready_nodes(folder / "config", ["local"]) == ["local"]
    registered(folder, fake=False, local=True)
    assert not_ready_nodes(folder / "config", ["local"]) == ["fake"]
    registered(folder, fake=True, local=True)
    assert not_ready_nodes(folder / "config", ["local"]) == []


def test_status_names_the_real_node_while_only_fake_ones_are_there(folder: Path) -> None:
    registered(folder, fake=True)
    State(folder, "real", {}).save()
    assert local.status(folder) == [f"nodes not Ready: {node.NAME}"]
    State(folder, "fake", {}).save()
    assert local.status(folder) == ["nodes not Ready: none"]


def test_a_kubelet_that_ends_at_its_start_is_named_with_its_last_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake nodes are Ready then, so that nothing else would tell before cluster DNS does not come."""
    registered(folder, fake=True)
    state = State(folder, "real", {"api": 1})
    for module, names in {
        "parts": ["prepare", "start"],
        "node": ["prepare", "start_containerd"],
        "images": ["ensure"],
        "forwards": ["lead"],
        "addons": ["apply", "wait"],
    }.items():
        for name in names:
            monkeypatch.setattr(f"tools.cluster.{module}.{name}", lambda *_: None)
    monkeypatch.setattr(local, "_only", lambda *_: [])
    monkeypatch.setattr(
        "tools.cluster.node.start_kubelet", lambda here: here.start("kubelet", ["sh", "-c", "echo no clock >&2"])
    )
    with pytest.raises(UserError, match=r"kubelet ended while waiting for Ready nodes(?s:.*)no clock"):
        local._start_parts(state)
