"""The blackbox exporter is no open proxy: its targets stand in the stack file, and some doors stay shut."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from settings import SettingsError
from settings.probe_address import ProbeAddress
from tests.security.stacks import STACKS, changed, objects

MODULE = {"module": "http_2xx"}


def with_target(address: str) -> Any:
    return changed(
        "prod", {"blackbox": {"probes": {"p": {**MODULE, "targets": [{"service": "s", "address": address}]}}}}
    )


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/latest",
        "http://[::ffff:169.254.169.254]/",
        "http://100.100.100.200/",
        "metadata.google.internal:80",
        "http://metadata.google.internal./computeMetadata/v1/",
        "http://METADATA.google.internal/",
        "http://localhost:9115/",
        "127.0.0.1:22",
        "http://127.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0.0.0.0:9093/",
        "[::1]:9115",
        "https://10.0.0.7:10250/pods",
        "10.0.0.7:2379",
    ],
)
def test_doors_of_administrators_stay_shut(address: str) -> None:
    with pytest.raises(SettingsError, match=r"which no probe may ask|probe something else"):
        with_target(address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://user:pass@example.com/", "carries credentials"),
        ("https://example.com/ http://169.254.169.254/", "holds a blank"),
        ("https://example.com:99999/", "is no address"),
        ("https://[::1/", "is no address"),
    ],
)
def test_what_is_no_address_is_said(address: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        with_target(address)


@pytest.mark.parametrize(
    "address",
    [
        "https://www.example.com/",
        "postgresql.database.svc.cluster.local:5432",
        "10.1.2.3",
        "192.168.178.1:443",
        "[2001:db8::1]:443",
        "8.8.8.8",
        "kube-dns.kube-system.svc.cluster.local",
        "https://example.com:8443/a?b=c",
    ],
)
def test_other_addresses_are_fine(address: str) -> None:
    assert TypeAdapter(ProbeAddress).validate_python(address) == address


@pytest.mark.parametrize("stack", STACKS)
def test_targets_are_fixed(stack: str) -> None:
    """A Probe names its addresses: none comes from objects of others, as by selecting Ingresses or Services."""
    found = [item["spec"] for item in objects(stack) if item["kind"] == "Probe"]
    assert found
    for spec in found:
        assert set(spec["targets"]) == {"staticConfig"}
        assert "relabelingConfigs" not in json.dumps(spec)


@pytest.mark.parametrize("stack", STACKS)
def test_nobody_outside_the_cluster_reaches_it(stack: str) -> None:
    services = [item for item in objects(stack) if item["kind"] == "Service"]
    assert {item["spec"].get("type", "ClusterIP") for item in services} == {"ClusterIP"}
