"""Hub and spoke in the objects: where series go, by which password, and which rules are whose."""

from typing import Any

import pytest

from components import addresses, chart_values, remote_write
from components.alert_rules import EVALUATOR, HUB
from settings import SettingsError, parse
from settings.reader import PROJECT
from tools.synth import Program, synthesize

CLUSTER = {"name": "edge", "distribution": "k3s"}
TARGET = {"name": "hub", "url": "https://hub.example.com/api/v1/write"}
LOGIN = {"username": "edge", "passwordSecret": "hubPassword"}


def sections(**more: Any) -> dict[str, Any]:
    return {"cluster": CLUSTER, "alertmanager": {"heartbeat": "none"}, **more}


def program(**more: Any) -> Program:
    config = {f"{PROJECT}:{key}": value for key, value in sections(**more).items()}
    return synthesize("edge", config, secrets={"hubPassword": "canary"} if "prometheus" in more else {})


def remote(**more: Any) -> list[dict[str, Any]]:
    settings = parse(sections(prometheus={"remoteWrite": [TARGET | more]}), "x", check_secrets=False)
    return remote_write.specs(settings)


def test_the_password_is_in_a_secret_and_nowhere_else() -> None:
    found = program(prometheus={"remoteWrite": [TARGET | LOGIN]})
    secret = found.named("kube-prometheus-stack-remote-write").inputs
    assert secret["stringData"] == {"hubPassword": "canary", "hub.username": "edge"}
    [spec] = found.named("kube-prometheus-stack-chart").inputs["values"]["prometheus"]["prometheusSpec"]["remoteWrite"]
    name = secret["metadata"]["name"]
    assert spec["basicAuth"] == {
        "username": {"name": name, "key": "hub.username"},
        "password": {"name": name, "key": "hubPassword"},
    }
    assert [r.name for r in found.resources if "canary" in str(r.inputs)] == ["kube-prometheus-stack-remote-write"]


def test_a_token_instead() -> None:
    [spec] = remote(tokenSecret="hubToken")
    assert spec["authorization"]["credentials"] == {"name": remote_write.SECRET, "key": "hubToken"}
    assert "basicAuth" not in spec


def test_the_authority_of_the_hub_is_in_the_secret_too() -> None:
    [spec] = remote(**LOGIN, caSecret="hubCa")
    assert spec["tlsConfig"] == {"ca": {"secret": {"name": remote_write.SECRET, "key": "hubCa"}}}
    assert "tlsConfig" not in remote()[0]


def test_a_scheme_in_capitals_is_the_same() -> None:
    [spec] = remote(**LOGIN, url="HTTPS://Hub.example.com/x/", caSecret="hubCa")
    assert spec["url"] == "https://Hub.example.com/x"


def test_queue_and_filter() -> None:
    [spec] = remote(keep="node_.*", timeout="10s", queue={"maxShards": 5, "maxBackoff": "1m"})
    assert spec["writeRelabelConfigs"] == [
        {"sourceLabels": ["__name__"], "regex": "prometheus_build_info|node_.*", "action": "keep"}
    ]
    queue = spec["queueConfig"]
    assert (queue["maxShards"], queue["maxBackoff"], queue["retryOnRateLimit"]) == (5, "1m", True)
    assert spec["remoteTimeout"] == "10s"
    assert "writeRelabelConfigs" not in remote()[0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"username": "edge"}, "only one of username and passwordSecret is set"),
        ({"url": "http://hub", "caSecret": "c"}, "caSecret is set, but http://hub is not encrypted; write https://"),
        ({**LOGIN, "tokenSecret": "t"}, "tokenSecret and username are both set"),
        ({"queue": {"minBackoff": "1m"}}, "maxBackoff 30s is below minBackoff 1m"),
        ({"queue": {"capacity": 100}}, "capacity is below maxSamplesPerSend"),
        ({"queue": {"shards": 100}}, "queue.shards is not a known key"),
    ],
)
def test_mistakes_are_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        remote(**more)


def test_names_of_targets_differ() -> None:
    with pytest.raises(SettingsError, match="the name hub more than once"):
        parse(sections(prometheus={"remoteWrite": [TARGET, TARGET]}), "x", check_secrets=False)


def test_a_cluster_without_a_hub_has_nothing_of_it() -> None:
    found = program()
    assert not [resource for resource in found.resources if "hub" in resource.name]
    assert "ruleSelector" not in chart_values.prometheus(parse(sections(), "x"))["prometheusSpec"]


def test_rules_of_the_hub_are_for_the_hub_alone() -> None:
    found = program(hub={"enabled": True})
    spec = found.named("hub-prometheus").inputs["spec"]
    assert spec["enableRemoteWriteReceiver"]
    assert spec["retentionSize"] == "40960MiB"
    # Without any selector of what to scrape the operator leaves the configuration to somebody else.
    assert spec["serviceMonitorSelector"] == {"matchLabels": {EVALUATOR: HUB}}
    # Alertmanager is found by the API server, which wants a token.
    assert spec["serviceAccountName"] == addresses.PROMETHEUS
    assert spec.get("automountServiceAccountToken", True)
    own = found.named("kube-prometheus-stack-chart").inputs["values"]["prometheus"]["prometheusSpec"]["ruleSelector"]
    assert own["matchExpressions"] == [{"key": EVALUATOR, "operator": "NotIn", "values": [HUB]}]
    labelled = {
        resource.name
        for resource in found.resources
        if resource.inputs.get("kind") == "PrometheusRule"
        and spec["ruleSelector"]["matchLabels"].items() <= resource.inputs["metadata"]["labels"].items()
    }
    assert labelled == {"alert-rules-rule-hub"}


def test_the_service_leads_to_the_hub_and_is_scraped_as_a_prometheus() -> None:
    found = program(hub={"enabled": True})
    service, monitor = found.named("hub-service").inputs, found.named("hub-monitor").inputs
    assert (
        service["spec"]["selector"]["app.kubernetes.io/instance"]
        == found.named("hub-prometheus").inputs["metadata"]["name"]
    )
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"]["app.kubernetes.io/name"].endswith("-prometheus")
