"""What the real operator makes of a hub: its own Prometheus, with its rule alone, that takes what others write."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import addresses, remote_write
from settings.metrics import HubSettings
from tests.cluster.test_objects import OPERATOR_SECONDS, api_proxy, check, packed, wait_for
from tools import cluster
from tools.apply import LocalSecrets, apply
from tools.binaries import find
from tools.cluster import Cluster
from tools.manifests import manifests
from tools.synth import ROOT

TARGET = {
    "name": "far",
    "url": "https://hub.example.com/api/v1/write",
    "username": "dev",
    "passwordSecret": "hubPassword",
    "queue": {"maxShards": 7},
}
SECTIONS = {
    "hub": {"enabled": True, "retention": "45d", "logSenders": [{"cluster": "edge", "passwordSecret": "edgeLogs"}]},
    "centralLogs": {"url": "https://logs.example.com", "passwordSecret": "hubPassword"},
}
OBJECTS = (addresses.HUB, addresses.PROMETHEUS)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with stack dev as a hub that writes to another one, after the operator has reconciled both."""
    folder = tmp_path_factory.mktemp("hub")
    content = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))
    config = content["config"] | {f"observability:{key}": value for key, value in SECTIONS.items()}
    config["observability:prometheus"] = {**config["observability:prometheus"], "remoteWrite": [TARGET]}
    file = folder / "Pulumi.dev.yaml"
    file.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    secrets = LocalSecrets(folder / "secrets.json")
    with cluster.fake(folder / "cluster") as running:
        apply(running.kubeconfig, manifests("dev", file, secrets=secrets.value, password=secrets.password, local=True))
        log = folder / "operator.log"
        with api_proxy(running) as url, log.open("w") as output:
            command = [str(find("prometheus-operator")), f"--apiserver={url}", "--web.listen-address=127.0.0.1:0"]
            with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
                try:
                    for name in OBJECTS:
                        wait_for(f"reconciled {name}", partial(reconciled, running, name), OPERATOR_SECONDS)
                finally:
                    process.terminate()
        yield running


def read(local: Cluster, *arguments: str) -> Any:
    return json.loads(local.kubectl("get", *arguments, "--namespace=monitoring", "--output=json"))


def reconciled(local: Cluster, name: str) -> bool:
    """Whether the operator says so of the object as it is now."""
    found = read(local, "prometheus", name)
    return any(
        entry["type"] == "Reconciled"
        and entry["status"] == "True"
        and entry["observedGeneration"] == found["metadata"]["generation"]
        for entry in found.get("status", {}).get("conditions", [])
    )


def configuration(local: Cluster, name: str, folder: Path) -> dict[str, Any]:
    """What the operator writes for a Prometheus, after promtool has accepted it."""
    text = packed(local, f"prometheus-{name}", "prometheus.yaml.gz")
    for path in set(re.findall(r"/(?:var/run/secrets|etc/prometheus/certs|etc/prometheus/secrets)/\S+", text)):
        (folder / "file").touch()
        text = text.replace(path, str(folder / "file"))
    (folder / "prometheus.yaml").write_text(text)
    check(find("promtool"), "check", "config", folder / "prometheus.yaml")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def rule_files(local: Cluster, name: str) -> dict[str, str]:
    maps = read(local, "configmaps")["items"]
    own = [item for item in maps if item["metadata"]["name"].startswith(f"prometheus-{name}-rulefiles-")]
    return {file: text for item in own for file, text in item.get("data", {}).items()}


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
