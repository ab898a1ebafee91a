"""Flux and Argo CD: monitors behind switches, state of Flux's objects, and what Flux tells by itself."""

import re
from typing import Any

import pytest
import yaml

from components import argo_cd, chart_values, flux, flux_state
from components.receiver_kinds import OPSGENIE
from settings import Settings, SettingsError, parse
from tests.rules.stacks import RULES
from tools.synth import ROOT, Program, stack_config, synthesize

TEAM = [
    {"kind": "slack", "urlSecret": "slackUrl", "channel": "#ops"},
    {"kind": "webhook", "urlSecret": "hookUrl"},
    {"kind": "telegram", "tokenSecret": "bot", "chatId": -100},
    {"kind": "opsgenie", "apiKeySecret": "genie", "region": "eu"},
    {"kind": "pagerduty", "routingKeySecret": "pager"},
]
SECRETS = dict.fromkeys(("slackUrl", "hookUrl", "bot", "genie", "pager"), "very-secret")


def sections(runs: tuple[str, ...] = ("flux", "argo-cd"), **more: Any) -> dict[str, Any]:
    routes = {"critical": "team", "warning": "team"}
    return {
        "cluster": {"name": "test", "distribution": "kubeadm", "runs": list(runs)},
        "alertmanager": {"heartbeat": "none", "receivers": {"team": TEAM}, "routes": routes},
        **more,
    }


def settings(runs: tuple[str, ...] = ("flux", "argo-cd"), **more: Any) -> Settings:
    return parse(sections(runs, **more), "f", check_secrets=False)


def program(**changes: Any) -> Program:
    config = stack_config(ROOT / "Pulumi.dev.yaml")
    config |= {f"observability:{key}": value for key, value in sections(**changes).items()}
    config["observability:cluster"]["distribution"] = "local"
    return synthesize("dev", config, secrets=SECRETS)


def test_nothing_is_there_without_the_software() -> None:
    found = program(runs=())
    names = {resource.name for resource in found.resources}
    assert not {"flux", "argo-cd", "flux-monitor", "argo-cd-monitor"} & names


def test_monitors_are_there_with_it_and_can_be_left_out() -> None:
    names = {resource.name for resource in program().resources}
    assert {"flux-monitor", "argo-cd-monitor"} <= names
    without = program(flux={"monitor": False}, argoCd={"monitor": False})
    assert not {"flux-monitor", "argo-cd-monitor"} & {resource.name for resource in without.resources}


def test_the_alert_on_controllers_asks_the_namespace_that_is_scraped() -> None:
    [spec] = [flux.monitor()]
    assert spec["namespaceSelector"] == {"matchNames": [flux.NAMESPACE]}
    assert f'up{{namespace="{flux.NAMESPACE}"}}' in (RULES / "flux.yaml").read_text(encoding="utf-8")


def test_argo_cd_is_scraped_by_the_label_that_all_its_services_have() -> None:
    spec = argo_cd.monitor("gitops")
    assert spec["namespaceSelector"] == {"matchNames": ["gitops"]}
    assert spec["selector"] == {"matchLabels": {"app.kubernetes.io/part-of": "argocd"}}
    assert {endpoint["port"] for endpoint in spec["endpoints"]} == {"metrics", "http-metrics"}
    assert not any(endpoint["honorLabels"] for endpoint in spec["endpoints"]), "rules ask for exported_namespace"


def test_state_of_fluxs_objects_has_every_label_that_rules_and_dashboards_ask_for() -> None:
    values = chart_values.values(settings())["kube-state-metrics"]
    config = values["customResourceState"]["config"]
    for resource in config["spec"]["resources"]:
        [metric] = resource["metrics"]
        assert f"{resource['metricNamePrefix']}_{metric['name']}" == "gotk_resource_info"
        assert {"exported_namespace", "ready", "suspended"} <= set(metric["labelsFromPath"])
        assert "name" in metric["each"]["info"]["labelsFromPath"]
    catalogue = yaml.safe_load((ROOT / "tests/rules/metrics/flux.yaml").read_text(encoding="utf-8"))
    own = {label for labels in flux_state.KINDS.values() for label in labels}
    assert own <= set(catalogue["metrics"]["gotk_resource_info"])
    assert "customResourceState" not in chart_values.values(settings(runs=()))["kube-state-metrics"]


def test_kube_state_metrics_may_read_those_objects_and_no_others() -> None:
    allowed = {(rule["apiGroups"][0], name) for rule in flux_state.rules() for name in rule["resources"]}
    wanted = {(group, flux_state._plural(kind)) for group, _, kind in flux_state.KINDS}
    assert allowed == wanted
    assert {verb for rule in flux_state.rules() for verb in rule["verbs"]} == {"list", "watch"}
    assert ("source.toolkit.fluxcd.io", "gitrepositories") in allowed


def test_flux_tells_the_channels_that_it_knows() -> None:
    told = flux.providers(settings(flux={"notifications": {"receiver": "team"}}))
    assert told == [
        ({"type": "slack", "channel": "#ops"}, {"address": "slackUrl"}),
        ({"type": "generic"}, {"address": "hookUrl"}),
        ({"type": "telegram", "address": "https://api.telegram.org", "channel": "-100"}, {"token": "bot"}),
        ({"type": "opsgenie", "address": f"{OPSGENIE['eu']}v2/alerts"}, {"token": "genie"}),
    ]


def test_provider_alert_and_secret_belong_together() -> None:
    found = program(flux={"notifications": {"receiver": "team", "severity": "info", "namespaces": ["a", "b"]}})
    secret, provider, alert = (found.named(f"flux-{kind}-0") for kind in ("secret", "provider", "alert"))
    assert {one.inputs["metadata"]["namespace"] for one in (secret, provider, alert)} == {flux.NAMESPACE}
    assert provider.inputs["spec"]["secretRef"]["name"] == secret.inputs["metadata"]["name"]
    assert alert.inputs["spec"]["providerRef"]["name"] == provider.inputs["metadata"]["name"]
    assert alert.inputs["spec"]["eventSeverity"] == "info"
    assert alert.inputs["spec"]["eventMetadata"] == {"cluster": "test"}
    sources = alert.inputs["spec"]["eventSources"]
    assert {source["namespace"] for source in sources} == {"a", "b"}
    assert {source["kind"] for source in sources} == set(flux.SOURCES)
    assert not re.search("very-secret", str(provider.inputs) + str(alert.inputs))


@pytest.mark.parametrize(
    ("runs", "receiver", "words"),
    [
        (("flux",), "nobody-here", "nobody-here is none of alertmanager.receivers: team"),
        ((), "team", "cluster.runs does not name flux"),
    ],
)
def test_mistakes_are_said(runs: tuple[str, ...], receiver: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        flux.check(settings(runs, flux={"notifications": {"receiver": receiver}}))


def test_a_receiver_that_flux_cannot_reach_is_said() -> None:
    chosen = sections(flux={"notifications": {"receiver": "team"}})
    chosen["alertmanager"]["receivers"] = {"team": TEAM[-1:]}
    with pytest.raises(SettingsError, match="Flux can reach no channel of team; it knows discord, msteams"):
        flux.check(parse(chosen, "f", check_secrets=False))
