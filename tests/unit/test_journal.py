"""The systemd journal: its settings, its labels, what of the node is mounted for it, and the alerts that need it."""

import re
from typing import Any

import pytest

from components import alloy, alloy_config, journal, promtail, promtail_config
from components.stack import select_rules
from settings import Settings, SettingsError, parse

KERNEL_ALERTS = {"NFSServerNotResponding", "GPUXidInKernelLog"}
MOUNTS = {"/run/log/journal", "/etc/machine-id"}


def settings(**chosen: Any) -> Settings:
    sections = {
        "cluster": {"name": "test", "distribution": "kubeadm", "runs": ["nfs"]},
        "alertmanager": {"heartbeat": "none"},
        "dcgm": {"mode": "deploy"},
        "logAgent": {"journal": chosen},
    }
    return parse(sections, "f", check_secrets=False)


def app(unit: str) -> str | None:
    """What Promtail makes of the name of a unit: each rule in turn, its expression matched whole."""
    labels = {"__journal__transport": "stdout", "__journal__systemd_unit": unit}
    for rule in journal.relabeling():
        [source] = rule["source_labels"]
        if found := re.fullmatch(rule.get("regex", "(.*)"), labels.get(source, "")):
            labels[rule["target_label"]] = found.expand(rule.get("replacement", "$1").replace("$1", r"\1"))
    return labels.get("app")


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        ("kubelet.service", "kubelet"),
        ("systemd-networkd.service", "systemd-networkd"),
        ("snap.microk8s.daemon-kubelite.service", "snap.microk8s.daemon-kubelite"),
        ("ssh@12-10.0.0.1:22-10.0.0.9:4711.service", "ssh"),
        ("user@1000.service", "user"),
        ("systemd-fsck@dev-disk-by\\x2duuid-1A2B.service", "systemd-fsck"),
        ("run-r0123456789abcdef.service", "run"),
        ("run-u42.service", "run"),
        ("run-p4242-i4243.service", "run"),
        ("run-parts.service", "run-parts"),
        ("session-c1.scope", "session"),
        ("cri-containerd-0123456789abcdef.scope", "scope"),
        ("var-lib-kubelet-pods-0f1e.mount", "mount"),
        ("init.scope", "systemd"),
        ("", "stdout"),
    ],
)
def test_no_unit_has_an_endless_name(unit: str, name: str) -> None:
    assert app(unit) == name


@pytest.mark.parametrize("agent", [promtail, alloy])
def test_the_node_shows_its_journal_where_it_is_read(agent: Any) -> None:
    def mounts(chosen: Settings) -> set[str]:
        found = agent.pod_spec(chosen)
        [container] = found["containers"]
        read_only = {one["mountPath"] for one in container["volumeMounts"] if one.get("readOnly")}
        host = {one["hostPath"]["path"] for one in found["volumes"] if "hostPath" in one}
        return host & read_only

    assert mounts(settings()) == {"/var/log", *MOUNTS}
    assert mounts(settings(enabled=False)) == {"/var/log"}


def test_without_a_journal_nobody_reads_one() -> None:
    off = settings(enabled=False)
    assert [one["job_name"] for one in promtail_config.config(off)["scrape_configs"]] == ["pods"]
    assert "journal" not in alloy_config.config(off)


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({}, None),
        ({"keep": ["kernel", "kubelet"], "drop": ["cron"]}, None),
        ({"enabled": False}, "logAgent.journal.enabled is false"),
        ({"drop": ["kernel"]}, "logAgent.journal leaves them out"),
        ({"keep": ["kubelet"]}, "logAgent.journal leaves them out"),
    ],
)
def test_alerts_on_the_kernels_lines_need_these(chosen: dict[str, Any], why: str | None) -> None:
    rules = select_rules(settings(**chosen))[1]
    shipped = {rule["alert"] for rule in rules.alerts()} & KERNEL_ALERTS
    left_out = {one.alert: one.why for one in rules.left_out if one.alert in KERNEL_ALERTS}
    assert shipped == (set() if why else KERNEL_ALERTS)
    assert set(left_out) == KERNEL_ALERTS - shipped
    assert all(why and why in told for told in left_out.values())


def test_names_are_matched_whole_and_literally() -> None:
    [kept, *_] = journal.stages(settings(keep=["kernel", "snap.lxd"]).log_agent)
    assert kept["match"]["selector"] == '{app!~"kernel|snap[.]lxd"}'


def test_a_name_is_that_of_an_application() -> None:
    with pytest.raises(SettingsError, match=r"logAgent.journal.drop.0"):
        settings(drop=["kubelet service"])
