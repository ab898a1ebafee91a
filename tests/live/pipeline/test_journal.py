"""The systemd journal of a node: files that systemd's own program writes, read by the agents through libsystemd.

The agents find the journal as on a node, without being told where: the test mounts it at one of its two places.
"""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from components import rule_files
from tests.live.pipeline.conftest import Node
from tools.faults import journal
from tools.faults.journal import KEPT, VOLATILE, Journal
from tools.synth import ROOT

CONTAINER = "0123456789abcdef" * 4
LABELS = {"cluster": "dev", "job": "systemd-journal", "node": "node-1"}
XID = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def entry(message: str, unit: str | None = None, priority: int = 6, **fields: str) -> dict[str, str]:
    """An entry as journald writes it; a program may name itself as it likes."""
    source = {"_TRANSPORT": "stdout", "_SYSTEMD_UNIT": unit} if unit else {"_TRANSPORT": "syslog"}
    said = {"PRIORITY": str(priority), "SYSLOG_IDENTIFIER": f"itself-{message}", "MESSAGE": message}
    return {**source, **said, **fields}


ENTRIES = {
    # app: entries
    "kernel": [entry(XID, priority=3, _TRANSPORT="kernel")],
    "audit": [entry("audit: type=1400", _TRANSPORT="audit")],
    "syslog": [entry("no unit")],
    "kubelet": [entry("kubelet up", "kubelet.service")],
    "systemd-networkd": [entry("eth0: link up", "systemd-networkd.service")],
    "ssh": [entry("first login", "ssh@1-10.0.0.1:22-10.0.0.9:4711.service"), entry("next", "ssh@2.service", 4)],
    "session": [entry("sudo", "session-17.scope"), entry("su", "session-c2.scope")],
    "systemd": [entry("Started it", "init.scope")],
    "run": [entry("transient", "run-r0123456789abcdef0123456789abcdef.service"), entry("too", "run-u17.service")],
    "scope": [entry("of a container", f"cri-containerd-{CONTAINER}.scope")],
    "mount": [entry("mounting", "var-lib-kubelet-pods-0f1e-volumes-data.mount")],
}


def shipped(node: Node, entries: list[dict[str, str]], wanted: int, place: str = KEPT, **log_agent: Any) -> None:
    """Write a journal, and let the agent read it until so many lines are in Loki."""
    if why := journal.missing(node.program):
        pytest.skip(why)
    source = Journal(node.folder / "journal", place)
    now = time.time_ns() // 1000 - len(entries)
    source.write({"__REALTIME_TIMESTAMP": str(now + number), **one} for number, one in enumerate(entries))
    node.ship(source, wanted, **log_agent)


def streams(node: Node) -> dict[str, list[str]]:
    """Lines of each application, whose streams have these labels and no more."""
    found = node.streams()
    assert all(set(labels) == {*LABELS, "app"} and labels.items() >= LABELS.items() for labels, _ in found), found
    return {labels["app"]: lines for labels, lines in found}


def messages(entries: Mapping[str, list[dict[str, str]]]) -> dict[str, list[str]]:
    return {app: [one["MESSAGE"] for one in written] for app, written in entries.items()}


def expression(alert: str) -> str:
    """The expression of an alert on lines, as its file has it."""
    groups = [group for file in rule_files.load(ROOT / "rules/loki") for group in file.groups]
    [found] = [rule["expr"] for group in groups for rule in group["rules"] if rule.get("alert") == alert]
    return str(found)


@pytest.mark.parametrize("place", [KEPT, VOLATILE], ids=["kept", "volatile"])
def test_every_entry_is_a_line_under_its_labels(node: Node, place: str) -> None:
    everything = [one for entries in ENTRIES.values() for one in entries]
    shipped(node, everything, len(everything), place)
    assert streams(node) == messages(ENTRIES)


def test_units_are_dropped_and_kept(node: Node) -> None:
    everything = [one for entries in ENTRIES.values() for one in entries]
    chosen = {"keep": ["kernel", "kubelet", "systemd-networkd"], "drop": ["kubelet"]}
    shipped(node, everything, 2, journal=chosen)
    assert streams(node) == messages({app: ENTRIES[app] for app in ("kernel", "systemd-networkd")})


def test_secrets_are_masked(node: Node) -> None:
    shipped(node, [entry("password=hunter2", "web.service")], 1, maskSecrets=True)
    assert streams(node) == {"web": ["password=****"]}


def test_the_priority_is_the_level(node: Node) -> None:
    shipped(node, [*ENTRIES["kernel"], *ENTRIES["ssh"]], 3)
    levels = {level: node.lines(where=f'detected_level="{level}"') for level in ("error", "warn", "info")}
    assert levels == {"error": [XID], "warn": ["next"], "info": ["first login"]}


def test_the_kernel_alerts_read_it(node: Node) -> None:
    """The expressions of the rules for the kernel's lines, asked of what an agent has shipped."""
    said = "nfs: server nas.example.com not responding, still trying"
    shipped(node, [*ENTRIES["kernel"], entry(said, priority=4, _TRANSPORT="kernel")], 2)
    for alert in ("GPUXidInKernelLog", "NFSServerNotResponding"):
        answer = node.loki.get("/loki/api/v1/query", node.tenant, query=expression(alert))["data"]["result"]
        assert [item["metric"] for item in answer] == [{"cluster": "dev", "node": "node-1"}], alert
