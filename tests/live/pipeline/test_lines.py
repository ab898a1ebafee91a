"""What the log agent does with the lines of a pod: real Promtail, real Alloy, real Loki, the stack's own pipeline."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.live.pipeline.conftest import Node
from tools.faults.agents import Files

LABELS = {"namespace": "shop", "pod": "web-1", "container": "web", "app": "web", "node": "node-1", "job": "shop/web"}
Lines = Callable[..., list[str]]


def cri(*lines: str, flag: str = "F", stream: str = "stdout") -> str:
    """Lines as a container runtime writes them, each a millisecond after the other."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return "".join(f"{now}{number:03d}Z {stream} {flag} {line}\n" for number, line in enumerate(lines))


def shipped(node: Node, content: str, wanted: int, **log_agent: Any) -> list[str]:
    """The lines that are in Loki after the agent has read this file."""
    pods = node.folder / "pods"
    pods.mkdir()
    (pods / "0.log").write_text(content)
    node.ship(Files(pods, {"stray": "no", **LABELS}), wanted, **log_agent)
    return node.lines()


def test_labels_are_these_and_no_more(node: Node) -> None:
    content = cri("one") + cri("two", stream="stderr")
    assert sorted(shipped(node, content, 2)) == ["one", "two"]
    assert [labels for labels, _ in node.streams()] == [{**LABELS, "cluster": "dev"}]


def test_partial_lines_become_one(node: Node) -> None:
    content = cri("first ", "second ", flag="P") + cri("last") + cri("next")
    assert shipped(node, content, 2) == ["first second last", "next"]


def test_long_lines_are_cut(node: Node) -> None:
    limit = 256 * 1024
    content = "".join(cri("x" * 16384, flag="P") for _ in range(20)) + cri("end") + cri("next")
    [cut, after] = shipped(node, content, 2)
    assert after == "next"
    assert cut == "x" * len(cut)
    assert limit - 16384 <= len(cut) <= limit


def test_drop_and_keep(node: Node) -> None:
    content = cri("GET /healthz 200", "GET /cart 200", "GET /cart 500", "done")
    rules = {
        "drop": [{"app": "web", "matching": r"GET /healthz"}, {"namespace": "other"}],
        "keep": [{"namespace": "shop", "container": "web", "matching": r"GET .* \d+"}],
    }
    assert shipped(node, content, 2, **rules) == ["GET /cart 200", "GET /cart 500"]


def test_multiline_where_asked(node: Node) -> None:
    content = cri("2026-01-01 failed", "  at a()", "  at b()", "2026-01-01 next")
    blocks = [{"app": "web", "firstLine": r"^\d{4}-"}]
    assert shipped(node, content, 2, multiline=blocks) == ["2026-01-01 failed\n  at a()\n  at b()", "2026-01-01 next"]


def test_lines_stay_apart_where_not_asked(node: Node) -> None:
    content = cri("2026-01-01 failed", "  at a()")
    blocks = [{"app": "other", "firstLine": r"^\d{4}-"}]
    assert len(shipped(node, content, 2, multiline=blocks)) == 2


def test_secrets_are_masked(node: Node) -> None:
    lines = [
        "login password=hunter2 user=ann",
        '{"api_key": "k-123", "user": "ann"}',
        "Authorization: Bearer abcdefgh12345678",
        "connect postgres://ann:hunter2@db:5432/shop",
        "key AKIAABCDEFGHIJKLMNOP used",
        "card 4111-1111 paid",
        "nothing to hide: the tokens of the game",
    ]
    assert shipped(node, cri(*lines), 7, maskSecrets=True, mask=[r"card [\d-]+"]) == [
        "login password=**** user=ann",
        '{"api_key": "****", "user": "ann"}',
        "Authorization: Bearer ****",
        "connect postgres://ann:****@db:5432/shop",
        "key **** used",
        "**** paid",
        "nothing to hide: the tokens of the game",
    ]


def test_nothing_is_masked_unasked(node: Node) -> None:
    assert shipped(node, cri("password=hunter2"), 1) == ["password=hunter2"]
