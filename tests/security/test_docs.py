"""The table of docs/security.md is the table of flows of stack prod."""

from components import peers
from components.flows import flows
from tests.security.stacks import settings_of
from tools.synth import ROOT

PAGE = ROOT / "docs" / "security.md"
HEAD = "| from | to | port | why |\n|---|---|---|---|\n"


def words(peer: peers.Peer) -> str:
    match peer:
        case peers.App(name=name):
            return name.removeprefix("kube-prometheus-stack-")
        case peers.Namespace(name=None):
            return "any pod of the cluster"
        case peers.Namespace(name=name):
            return f"pods of namespace {name}"
        case peers.Host():
            return "host"
        case _:
            return "outside"


def rows() -> str:
    """One row for all ports of the same peers and reason."""
    ports: dict[tuple[str, str, str], list[str]] = {}
    for flow in flows(settings_of("prod")):
        port = "any" if flow.port is None else f"{flow.port}{'' if flow.protocol == 'TCP' else '/UDP'}"
        ports.setdefault((words(flow.source), words(flow.target), flow.why), []).append(port)
    lines = [
        f"| {source} | {target} | {', '.join(listed)} | {why} |" for (source, target, why), listed in ports.items()
    ]
    return HEAD + "\n".join(lines) + "\n"


def test_page_has_the_table() -> None:
    assert rows() in PAGE.read_text(encoding="utf-8"), f"docs/security.md must contain:\n{rows()}"
