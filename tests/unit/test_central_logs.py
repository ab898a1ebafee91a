"""Lines to a hub in the objects: an agent of its own on the spoke, a tenant for each sender on the hub."""

import re
from typing import Any

import pytest
import yaml

from components import (
    addresses,
    alloy_config,
    central_logs,
    event_exporter_config,
    flows,
    grafana_data_sources,
    loki_config,
    peers,
    promtail_config,
)
from components.alloy_syntax import Block
from components.loki_gateway import CREDENTIALS
from components.loki_gateway_config import nginx_config
from components.stack import select_rules
from settings import Settings, SettingsError, parse
from settings.reader import PROJECT, secret_keys
from tests.security.canaries import certificate
from tools.synth import Program, synthesize

CENTRAL = {"url": "https://logs.example.com/", "passwordSecret": "hubLogs"}
SENDERS = [{"cluster": "edge", "passwordSecret": "edgeLogs"}, {"cluster": "default", "passwordSecret": "otherLogs"}]


def sections(**more: Any) -> dict[str, Any]:
    return {"cluster": {"name": "hub", "distribution": "k3s"}, "alertmanager": {"heartbeat": "none"}, **more}


def settings(**more: Any) -> Settings:
    return parse(sections(**more), "x", check_secrets=False)


def program(**more: Any) -> Program:
    secrets = {key: certificate() if key == "hubCa" else "canary" for key in secret_keys(settings(**more))}
    return synthesize("hub", {f"{PROJECT}:{key}": value for key, value in sections(**more).items()}, secrets=secrets)


def promtail(**more: Any) -> dict[str, Any]:
    chosen = settings(centralLogs=CENTRAL | more)
    assert chosen.central_logs
    return central_logs.promtail_file(chosen, chosen.central_logs)


def test_it_is_the_log_agent_but_for_where_it_sends_and_remembers() -> None:
    found = program(centralLogs=CENTRAL)
    own, central = (found.named(f"{name}-daemon-set").inputs for name in ("promtail", "central-logs"))
    [first], [second] = (one["spec"]["template"]["spec"]["containers"] for one in (own, central))
    assert {key for key in first if first[key] != second[key]} == {"resources"}
    volumes = {one["name"]: one for one in own["spec"]["template"]["spec"]["volumes"]}
    others = {one["name"]: one for one in central["spec"]["template"]["spec"]["volumes"]}
    assert {name for name in volumes if volumes[name] != others[name]} == {"config", "credentials", "positions"}
    assert volumes["positions"]["hostPath"]["path"] != others["positions"]["hostPath"]["path"]
    assert (volumes["credentials"], others["credentials"]) == (
        {"name": "credentials", "secret": {"secretName": CREDENTIALS}},
        {"name": "credentials", "secret": {"secretName": central_logs.CREDENTIALS}},
    )
    assert own["spec"]["selector"] != central["spec"]["selector"]
    files = [
        yaml.safe_load(found.named(f"{name}-config").inputs["data"]["config.yaml"])
        for name in ("promtail", "central-logs")
    ]
    assert {key for key in files[0] if files[0][key] != files[1][key]} == {"clients"}


def test_its_client_tries_without_end_as_the_cluster() -> None:
    [client] = promtail(queue={"maxBackoff": "1m", "batchSize": "1Mi"})["clients"]
    assert client["url"] == "https://logs.example.com/loki/api/v1/push"
    assert client["basic_auth"]["username"] == "hub"
    assert client["external_labels"] == {"cluster": "hub"}
    assert client["backoff_config"] == {"min_period": "1s", "max_period": "1m", "max_retries": 0}
    assert (client["batchsize"], client["drop_rate_limited_batches"]) == (2**20, False)
    assert "tls_config" not in client
    [client] = promtail(caSecret="hubCa", username="me")["clients"]
    assert client["tls_config"] == {"ca_file": "/etc/promtail/secrets/ca.crt"}
    assert client["basic_auth"]["username"] == "me"


def test_which_lines() -> None:
    pods, journal = promtail()["scrape_configs"]
    assert journal["job_name"] == "journal"
    assert pods == promtail_config.config(settings())["scrape_configs"][0]
    [pods] = promtail(keepNamespaces=["shop", "pay"], journal=False)["scrape_configs"]
    assert pods["relabel_configs"][-1] == {"source_labels": ["namespace"], "regex": "shop|pay", "action": "keep"}
    pods = promtail(dropNamespaces=["scratch"])["scrape_configs"][0]
    assert pods["relabel_configs"][-1]["action"] == "drop"


def test_alloy_differs_in_the_same_places() -> None:
    chosen = settings(
        centralLogs=CENTRAL | {"dropNamespaces": ["x"], "caSecret": "hubCa"}, logAgent={"program": "alloy"}
    )
    assert chosen.central_logs
    own = {(block.name, block.label): block for block in alloy_config.blocks(chosen)}
    central = {(block.name, block.label): block for block in central_logs.alloy_blocks(chosen, chosen.central_logs)}
    assert {key for key in own if own[key] != central[key]} == {("loki.write", "loki"), ("discovery.relabel", "pods")}
    [endpoint] = central["loki.write", "loki"].blocks
    assert endpoint.attributes["max_backoff_retries"] == 0
    assert [block.name for block in endpoint.blocks] == ["basic_auth", "tls_config"]


def test_a_change_of_the_program_keeps_the_objects() -> None:
    """Their names and URNs: a DaemonSet that is made anew under its old name would be deleted after."""

    def urns(program_: str) -> set[str]:
        found = program(centralLogs=CENTRAL, logAgent={"program": program_}).resources
        return {f"{resource.type} {resource.name}" for resource in found if resource.name.startswith("central-logs")}

    assert len(urns("promtail")) == 15
    assert urns("promtail") == urns("alloy")


def events(**more: Any) -> tuple[dict[str, Block], dict[str, Block]]:
    """Blocks of the first event exporter and of the hub's, by their names."""
    chosen = settings(centralLogs=CENTRAL | more)
    assert chosen.central_logs
    both = event_exporter_config.blocks(chosen), central_logs.event_blocks(chosen, chosen.central_logs)
    first, second = ({block.name: block for block in blocks} for blocks in both)
    assert list(first) == list(second)
    return first, second


def test_events_go_to_the_hub_by_an_exporter_of_their_own() -> None:
    own, central = events(caSecret="hubCa", username="me")
    assert {name for name in own if own[name] != central[name]} == {"loki.write"}
    [endpoint] = central["loki.write"].blocks
    assert endpoint.attributes["url"] == "https://logs.example.com/loki/api/v1/push"
    login, tls = endpoint.blocks
    assert login.attributes["username"] == "me"
    assert tls.attributes == {"ca_file": "/etc/alloy/secrets/ca.crt"}
    found = program(centralLogs=CENTRAL)
    first, second = (found.named(f"{name}-deployment").inputs for name in ("event-exporter", "central-logs-events"))
    assert first["spec"]["selector"] != second["spec"]["selector"]
    one, other = (item["spec"]["template"]["spec"] for item in (first, second))
    assert {key for key in one if one[key] != other[key]} == {"serviceAccountName", "volumes"}
    assert {"name": "credentials", "secret": {"secretName": central_logs.CREDENTIALS}} in other["volumes"]
    role = found.named("central-logs-events-role").inputs["rules"]
    assert role == found.named("event-exporter-role").inputs["rules"]


def test_which_events() -> None:
    _, central = events(dropNamespaces=["scratch", "tests"])
    first, *others = central["loki.process"].blocks
    assert first.attributes["selector"] == '{namespace=~"scratch|tests"}'
    assert first.attributes["action"] == "drop"
    assert others == events()[0]["loki.process"].blocks
    assert "namespaces" not in central["loki.source.kubernetes_events"].attributes
    # Events of nodes are in `default`, and their object is in no namespace.
    _, central = events(dropNamespaces=["scratch", "default"])
    assert central["loki.process"].blocks[0].attributes["selector"] == '{namespace=~"scratch|default|"}'
    own, central = events(keepNamespaces=["shop"])
    assert central["loki.source.kubernetes_events"].attributes["namespaces"] == ["shop"]
    assert "namespaces" not in own["loki.source.kubernetes_events"].attributes
    assert central["loki.process"] == own["loki.process"]


@pytest.mark.parametrize(
    "more",
    [
        {"centralLogs": CENTRAL | {"events": False}},
        {"centralLogs": CENTRAL, "events": {"mode": "existing"}},
        {"centralLogs": CENTRAL, "events": {"mode": "off"}},
        {},
    ],
)
def test_where_no_events_go_to_a_hub_there_is_nothing_of_it(more: dict[str, Any]) -> None:
    assert not central_logs.sends_events(settings(**more))
    assert peers.CENTRAL_EVENTS not in flows.apps(settings(**more))
    assert not [one.name for one in program(**more).resources if "central-logs-events" in one.name]


def test_passwords_are_in_secrets_and_the_hub_keeps_hashes() -> None:
    found = program(centralLogs=CENTRAL | {"caSecret": "hubCa"}, hub={"logSenders": SENDERS})
    holders = {"central-logs-credentials": "monitoring-agents", "central-logs-events-credentials": "monitoring"}
    assert {one.name for one in found.resources if "canary" in str(one.inputs)} == set(holders)
    for holder, namespace in holders.items():
        secret = found.named(holder).inputs
        assert secret["stringData"] == {"password": "canary", "ca.crt": certificate()}
        assert (secret["metadata"]["name"], secret["metadata"]["namespace"]) == (central_logs.CREDENTIALS, namespace)
    files = found.named("loki-gateway-htpasswd").inputs["stringData"]
    users = [line.partition(":")[0] for line in files["senders"].splitlines()]
    assert users == ["observability", "edge", "default"]
    assert files["htpasswd"].count("\n") == 1
    # Of one password, two hashes: whoever reads the file does not see that they are the same.
    assert len({line.partition(":")[2] for line in files["senders"].splitlines()}) == 3


def test_a_hub_alone_lets_others_in() -> None:
    plain, hub = nginx_config(settings()), nginx_config(settings(hub={"logSenders": SENDERS}))
    assert "/clusters" not in plain
    assert "senders" not in plain
    assert set(program().named("loki-gateway-htpasswd").inputs["stringData"]) == {"htpasswd"}
    assert '"user edge" edge; "user default" default;' in hub
    assert 'set $tenant "main|edge|default";' in hub
    assert len(re.findall("secrets/senders", hub)) == 1
    assert "querier" not in loki_config.config(settings())
    assert loki_config.config(settings(hub={"logSenders": SENDERS}))["querier"]["multi_tenant_queries_enabled"]


def test_grafana_of_a_hub_sees_all_clusters() -> None:
    def urls(**more: Any) -> dict[str, str]:
        return {one["uid"]: one["url"] for one in grafana_data_sources.data_sources(settings(**more))}

    assert set(urls()) == {"loki", "alertmanager"}
    found = urls(hub={"enabled": True, "logSenders": SENDERS})
    assert found["loki-clusters"] == f"{found['loki']}/clusters"
    assert found["prometheus-clusters"].startswith(f"http://{addresses.HUB}.")


def test_rules_are_there_where_they_are_needed() -> None:
    def alerts(**more: Any) -> set[str]:
        return {rule["alert"] for rule in select_rules(settings(**more))[0].alerts()}

    spoke, hub = {"CentralLogsNotSent", "CentralLogsDropped"}, {"ClusterLogsStopped"}
    assert not (spoke | hub) & alerts()
    assert (spoke | hub) & alerts(centralLogs=CENTRAL) == spoke
    assert (spoke | hub) & alerts(hub={"logSenders": SENDERS}) == hub


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"url": "https://logs.example.com/loki/api/v1/push"}, "which is added by itself"),
        ({"url": "https://me:secret@logs.example.com"}, "carries credentials"),
        (
            {"url": "http://logs.example.com", "caSecret": "hubCa"},
            "caSecret is set, but http://logs.example.com is not",
        ),
        ({"keepNamespaces": ["a"], "dropNamespaces": ["b"]}, "keepNamespaces and dropNamespaces are both set"),
        ({"queue": {"minBackoff": "1m"}}, "maxBackoff 30s is below minBackoff 1m"),
        ({"queue": {"batchSize": "5Mi"}}, "batchSize 5Mi is not between 1Ki and 4Mi"),
        ({"username": "a:b"}, "centralLogs.username"),
        ({"dropNamespace": ["x"]}, "did you mean dropNamespaces"),
        ({"passwordSecret": "loki"}, "observability:loki is a section and cannot be a secret too"),
    ],
)
def test_mistakes_of_a_spoke_are_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings(centralLogs=CENTRAL | more)


@pytest.mark.parametrize(
    ("cluster", "what"), [("main", "loki.tenant"), ("hub", "cluster.name"), ("observability", "the gateway's user")]
)
def test_a_sender_is_another_cluster(cluster: str, what: str) -> None:
    with pytest.raises(SettingsError, match=rf"hub\.logSenders: {cluster} is {what} of this stack"):
        program(hub={"logSenders": [{"cluster": cluster, "passwordSecret": "edgeLogs"}]})


def test_a_sender_has_one_password() -> None:
    with pytest.raises(SettingsError, match="logSenders names edge more than once"):
        settings(hub={"logSenders": [SENDERS[0], SENDERS[0]]})
