"""What the real operator makes of a hub: its own Prometheus, with its rule alone, that takes what others write."""

import base64
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components import addresses, remote_write
from settings import parse
from settings.metrics import HubSettings
from tests.cluster.operated import (
    OPERATOR_SECONDS,
    changed_dev,
    check,
    configuration,
    deploy,
    operator,
    read,
    rule_files,
    wait_for,
)
from tests.cluster.served import served
from tests.live.test_hub import value
from tools import cluster
from tools.binaries import find
from tools.cluster import Cluster
from tools.cluster.pki import Authority
from tools.faults.daemons import until
from tools.faults.lines import Writer
from tools.reach import Reach
from tools.synth import ROOT, stack_config
from tools.verify import operator as verify_operator
from tools.verify.__main__ import as_deployed, show, verify

TARGET = {
    "name": "far",
    "url": "https://hub.example.com/api/v1/write",
    "username": "dev",
    "passwordSecret": "hubPassword",
    "caSecret": "hubCa",
    "queue": {"maxShards": 7},
}
SECTIONS = {
    "hub": {"enabled": True, "retention": "45d", "logSenders": [{"cluster": "edge", "passwordSecret": "edgeLogs"}]},
    "centralLogs": {"url": "https://logs.example.com", "username": "edge", "passwordSecret": "edgeLogs"},
}
WAIT = 180
"""Seconds until the daemons have read, scraped and sent, on a busy machine."""
LINES = 200
OBJECTS = (addresses.HUB, addresses.PROMETHEUS)


def sections() -> dict[str, Any]:
    """What differs from stack dev: a hub that writes to another one, and sends lines as a spoke does."""
    dev = stack_config(ROOT / "Pulumi.dev.yaml")
    prometheus, alertmanager = (dev[f"observability:{name}"] for name in ("prometheus", "alertmanager"))
    return {
        **SECTIONS,
        "prometheus": {**prometheus, "remoteWrite": [TARGET]},
        "alertmanager": {**alertmanager, "heartbeat": "none"},
        # No Grafana is run here.
        "grafana": {"enabled": False},
    }


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with stack dev as a hub that writes to another one, after the operator has reconciled both."""
    folder = tmp_path_factory.mktemp("hub")
    with cluster.fake(folder / "cluster") as running:
        Authority(folder / "authority")
        # The operator refuses what is no certificate, and the whole configuration with it.
        secrets = {"hubCa": (folder / "authority/ca.crt").read_text()}
        deploy(running, changed_dev(folder, sections()), secrets)
        with operator(running, folder / "operator.log"):
            for name in OBJECTS:
                wait_for(f"reconciled {name}", partial(reconciled, running, name), OPERATOR_SECONDS)
        yield running


def reconciled(local: Cluster, name: str) -> bool:
    """Whether the operator says so of the object as it is now."""
    found = read(local, "prometheus", name)
    return any(
        entry["type"] == "Reconciled"
        and entry["status"] == "True"
        and entry["observedGeneration"] == found["metadata"]["generation"]
        for entry in found.get("status", {}).get("conditions", [])
    )


def test_its_configuration_scrapes_nothing_and_addresses_alertmanager(hub: Cluster, tmp_path: Path) -> None:
    found = configuration(hub, addresses.HUB, tmp_path)
    assert not found.get("scrape_configs")
    assert "remote_write" not in found
    # The operator writes it here since Prometheus reads it again without a restart.
    assert found["storage"]["tsdb"]["retention"] == {"time": "45d", "size": HubSettings().retention_size}
    assert found["storage"]["tsdb"]["out_of_order_time_window"] == "2h"
    [alertmanagers] = found["alerting"]["alertmanagers"]
    assert alertmanagers["api_version"] == "v2"
    [discovery] = alertmanagers["kubernetes_sd_configs"]
    assert discovery["namespaces"] == {"names": ["monitoring"]}
    kept = [rule for rule in alertmanagers["relabel_configs"] if rule.get("action") == "keep"]
    assert {(rule["source_labels"][0].removeprefix("__meta_kubernetes_"), rule["regex"]) for rule in kept} == {
        ("service_name", addresses.ALERTMANAGER),
        (f"{discovery['role'].removesuffix('s')}_port_name", "http-web"),
    }


def test_each_prometheus_has_its_own_rules(hub: Cluster, tmp_path: Path) -> None:
    [(name, text)] = rule_files(hub, addresses.HUB).items()
    assert name.startswith("monitoring-hub-")
    (tmp_path / "hub.yaml").write_text(text)
    assert "1 rules found" in check(find("promtool"), "check", "rules", tmp_path / "hub.yaml")
    own = rule_files(hub, addresses.PROMETHEUS)
    assert len(own) > 10
    assert not [name for name in own if name.startswith("monitoring-hub-") and "hub-logs" not in name]
    for file in ("hub-logs", "central-logs"):
        assert any(name.startswith(f"monitoring-{file}-") for name in own), file


def test_its_pods_take_what_others_write_and_keep_it(hub: Cluster) -> None:
    made = read(hub, "statefulset", f"prometheus-{addresses.HUB}")["spec"]
    [container] = [one for one in made["template"]["spec"]["containers"] if one["name"] == "prometheus"]
    assert "--web.enable-remote-write-receiver" in container["args"]
    assert container["startupProbe"]["failureThreshold"] == 720
    assert made["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert made["template"]["spec"]["serviceAccountName"] == addresses.PROMETHEUS
    labels = made["template"]["metadata"]["labels"]
    service = read(hub, "service", addresses.HUB)["spec"]
    assert service["selector"].items() <= labels.items(), "the Service leads to these pods"
    assert (
        not service["selector"].items()
        <= read(hub, "statefulset", f"prometheus-{addresses.PROMETHEUS}")["spec"]["template"]["metadata"][
            "labels"
        ].items()
    ), "and to no others"


def test_the_own_prometheus_writes_to_its_hub(hub: Cluster, tmp_path: Path) -> None:
    [target] = configuration(hub, addresses.PROMETHEUS, tmp_path)["remote_write"]
    assert (target["name"], target["url"]) == ("far", TARGET["url"])
    assert target["queue_config"]["max_shards"] == 7
    assert target["queue_config"]["retry_on_http_429"] is True
    assert target["basic_auth"]["username"] == "dev"
    secret = read(hub, "secret", remote_write.SECRET)["data"]
    assert base64.b64decode(secret["hubPassword"]).decode() == target["basic_auth"]["password"]
    # The file of the pod comes from a Secret that the operator makes of ours.
    assert target["tls_config"]["ca_file"]
    files = read(hub, "secret", f"prometheus-{addresses.PROMETHEUS}-tls-assets-0")["data"]
    assert [text for key, text in files.items() if remote_write.SECRET in key] == [secret["hubCa"]]


def test_verify_says_of_a_hub_and_spoke_what_is_well_and_what_is_not(
    hub: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nodes are fake, so nothing of the cluster answers; real daemons answer in the place of its pods."""
    content = stack_config(changed_dev(tmp_path, sections()))
    settings = parse({key.partition(":")[2]: value for key, value in content.items()}, "x", check_secrets=False)
    written = tmp_path / "logs"
    written.mkdir()
    writer = Writer(written / "0.log", LINES)
    with served(hub, settings, tmp_path, written) as (reach, own):
        chosen = as_deployed(settings, reach)
        writer.write(LINES // 2)
        until("the first lines", lambda: value(own, 'loki_distributor_lines_received_total{tenant="edge"}') > 0)
        writer.write(LINES // 2)
        found = {result.check: result for result in verify(chosen, reach, WAIT)}
        with capsys.disabled():
            print()
            show("dev", list(found.values()))
        assert [result for result in found.values() if not result.well] == []
        assert {name for name, result in found.items() if not result.applies} == {"a line reaches Loki", "targets"}
        assert found["hub: clusters"].seen == "1 write: dev"
        assert found["hub: log lines of clusters"].seen == "lines of 1 of 1 clusters came in 10 minutes"
        for check in ("remote write", "log agent of the hub on every node", "lines to the hub", "hub: rules"):
            assert check in found
        # A part that is gone is named, and nothing else is.
        monkeypatch.delitem(reach.urls, "The hub's Prometheus")  # type: ignore[attr-defined]
        found = {result.check: result for result in verify(chosen, reach, 0)}
    assert {name for name, result in found.items() if not result.well} == {"hub: rules", "hub: clusters"}
    assert found["hub: rules"].seen == "no port leads to The hub's Prometheus"


def test_verify_names_what_the_operator_refuses(hub: Cluster, tmp_path: Path) -> None:
    """A secret that is no certificate: Prometheus would go on with its older configuration."""
    reach = Reach(str(hub.kubeconfig))
    assert verify_operator.reconciled(reach, "monitoring").well
    change = partial(hub.kubectl, "patch", "secret", remote_write.SECRET, "--namespace=monitoring")
    kept = read(hub, "secret", remote_write.SECRET)["data"]["hubCa"]
    try:
        change(f"--patch={json.dumps({'stringData': {'hubCa': 'no certificate'}})}")
        with operator(hub, tmp_path / "operator.log"):
            wait_for("fault", lambda: not verify_operator.reconciled(reach, "monitoring").well, OPERATOR_SECONDS)
        found = verify_operator.reconciled(reach, "monitoring")
    finally:
        change(f"--patch={json.dumps({'data': {'hubCa': kept}})}")
    with operator(hub, tmp_path / "again.log"):
        wait_for("end of it", lambda: verify_operator.reconciled(reach, "monitoring").well, OPERATOR_SECONDS)
    assert f"prometheuses/{addresses.PROMETHEUS}: " in found.seen
    assert "failed to decode PEM block" in found.seen
    print(found.seen)
