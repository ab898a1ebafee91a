"""Probes: what a stack file may say, what becomes of it, and the example of the documentation."""

import json
import re
from collections.abc import Mapping
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from components import blackbox_config, probe_teams
from components.blackbox_exporter import targets
from components.rule_files import RuleFile, Selection
from components.stack import select_rules
from settings import Settings, SettingsError, parse
from settings.probes import DnsModule, GrpcModule, HttpModule
from tools.rules import stack_settings
from tools.synth import ROOT, Program, placeholder, stack_config, synthesize

PAGE = (ROOT / "docs" / "probes.md").read_text(encoding="utf-8")
WEB = {"service": "web", "address": "https://www.example.com/"}
ASKED_FOR = {
    "http": ["amd", "jimswiki", "teslamate", "ha", "grafana", "prometheus", "cdn", ""],
    "ssl": ["", "teslamate", "grafana"],
}
DEPENDENCIES = [
    "postgresql.database.svc.cluster.local:5432",
    "mosquitto.messaging.svc.cluster.local:1883",
    "authentik.authentik.svc.cluster.local:9000",
]


def settings(blackbox: Mapping[str, Any], **sections: Any) -> Settings:
    base = {"cluster": {"name": "test", "distribution": "kubeadm"}, "alertmanager": {"heartbeat": "none"}}
    return parse({**base, "blackbox": blackbox, **sections}, "Pulumi.test.yaml", check_secrets=False)


def probe(*found: Mapping[str, Any], module: str = "http_2xx", **more: Any) -> dict[str, Any]:
    return {"probes": {"web": {"module": module, "targets": list(found), **more}}}


@pytest.mark.parametrize(
    ("blackbox", "words"),
    [
        (probe(WEB, interval="3m"), "probes.web.interval 3m is above 2m: alerts would end between two probes"),
        (probe(WEB, WEB), "https://www.example.com/ is probed 2 times by http_2xx from one place"),
        (probe({**WEB, "labels": {"team": "web"}}), "labels sets team, which the stack sets itself"),
        (probe({**WEB, "priority": "urgent"}), "input should be 'critical', 'high', 'medium' or 'low'"),
        (probe({"service": "db", "address": "db.example.com"}, module="tcp_connect"), "db.example.com has no port"),
        (probe({"service": "db", "address": "db.example.com"}, module="grpc"), "db.example.com has no port"),
        (probe(WEB, proberUsername="a", proberPasswordSecret="b"), "proberUsername is set without a prober"),
        (
            probe(WEB, prober="https://p.example.com", proberUsername="a"),
            "both proberUsername and proberPasswordSecret",
        ),
        ({"modules": {"icmp": {"kind": "http"}}}, "modules.icmp: the stack has a module of this name"),
        (
            {"dnsZones": {"a": "a.test"}, "modules": {"soa_a": {"kind": "http"}}},
            "modules.soa_a: the stack has a module",
        ),
        ({"modules": {"login": {"kind": "http", "username": "a"}}}, "a login needs both username and passwordSecret"),
        ({"modules": {"login": {"kind": "http", "headers": {"Authorization": "x"}}}}, "a credential in plain text"),
        ({"modules": {"text": {"kind": "http", "body": "("}}}, "is not a regular expression"),
        ({"modules": {"text": {"kind": "htp"}}}, "did you mean http?"),
    ],
)
def test_mistakes_are_said(blackbox: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        settings(blackbox)


def test_an_alert_that_could_never_fire_is_refused() -> None:
    tune = {"alerts": {"tune": {"EndpointResponseTimeHigh": {"threshold": "10s"}}}}
    with pytest.raises(SettingsError, match=r"10s is not below the longest timeout of an HTTP probe \(10s\)"):
        select_rules(settings({}, **tune))
    select_rules(settings({"modules": {"patient": {"kind": "http", "timeout": "20s"}}}, **tune))


def test_the_scrape_outlasts_the_module() -> None:
    chosen = settings({"modules": {"patient": {"kind": "http", "timeout": "20s"}}} | probe(WEB, module="patient"))
    modules = blackbox_config.config(chosen.blackbox)["modules"]
    [spec] = specs(chosen, "web")
    assert modules["patient"]["timeout"] == "20s"
    assert (spec["scrapeTimeout"], spec["interval"]) == ("21s", "30s")


def specs(chosen: Settings, key: str) -> list[dict[str, Any]]:
    return [blackbox_config.probe_spec(k, p, t, chosen) for _, k, p, t in targets(chosen) if k == key]


def test_labels_of_a_target() -> None:
    target = {**WEB, "team": "web", "priority": "high", "labels": {"site": "berlin"}}
    [spec] = specs(settings(probe(target, prober="https://probe.example.net/blackbox/")), "web")
    assert spec["targets"]["staticConfig"]["labels"] == {
        "service": "web",
        "module": "http_2xx",
        "team": "web",
        "priority": "high",
        "prober": "probe.example.net",
        "site": "berlin",
    }
    assert spec["prober"] == {"url": "probe.example.net", "scheme": "https", "path": "/blackbox/probe"}


def test_a_service_may_have_many_addresses() -> None:
    second = {**WEB, "address": "https://example.com/"}
    names = [name for name, key, *_ in targets(settings(probe(WEB, second))) if key == "web"]
    assert len(set(names)) == 2
    assert names == [name for name, key, *_ in targets(settings(probe(second, WEB))) if key == "web"][::-1]
    assert [name for name, key, *_ in targets(settings(probe(WEB))) if key == "web"] == ["web-web"]


def test_the_stack_probes_itself() -> None:
    addresses = [spec["targets"]["staticConfig"]["static"][0] for spec in specs(settings({}), "observability")]
    assert [address.rpartition(".svc.cluster.local")[2] for address in addresses] == [
        ":9090/-/ready",
        ":9093/-/ready",
        ":8080/ready",
        ":9115/-/healthy",
        ":80/api/health",
    ]


@pytest.fixture(scope="module")
def with_logins() -> Program:
    blackbox = {
        "modules": {
            "login": {"kind": "http", "username": "me", "passwordSecret": "wikiPassword"},
            "token": {"kind": "http", "tokenSecret": "apiToken"},
        },
        "probes": {
            "login": {"module": "login", "targets": [WEB]},
            "far": {
                "module": "http_2xx",
                "prober": "https://probe.example.net",
                "proberUsername": "far-user",
                "proberPasswordSecret": "farPassword",
                "targets": [{**WEB, "team": "web"}],
            },
        },
    }
    config = stack_config(ROOT / "Pulumi.dev.yaml") | {"observability:blackbox": blackbox}
    keys = ["onCallUrl", "telegramToken", "teamUrl", "smtpPassword", "heartbeatUrl", "logsHeartbeatUrl"]
    keys += ["wikiPassword", "apiToken", "farPassword"]
    return synthesize("dev", config, secrets={key: placeholder(key) for key in keys})


def test_credentials_are_files_of_a_secret(with_logins: Program) -> None:
    secret = with_logins.named("blackbox-exporter-credentials")
    assert secret.secret
    assert set(secret.inputs["stringData"]) == {"wikiPassword", "apiToken", "farPassword", "far-prober-username"}
    pod = with_logins.named("blackbox-exporter-deployment").inputs["spec"]["template"]["spec"]
    [volume] = [one for one in pod["volumes"] if one["name"] == "credentials"]
    assert [item["key"] for item in volume["secret"]["items"]] == ["wikiPassword", "apiToken"]
    config = with_logins.named("blackbox-exporter-config").inputs["data"]["config.yml"]
    assert f"{blackbox_config.CREDENTIALS_FOLDER}/wikiPassword" in config
    spec = with_logins.named("blackbox-exporter-probe-far-web").inputs["spec"]
    assert spec["basicAuth"]["password"] == {"name": blackbox_config.CREDENTIALS, "key": "farPassword"}


def test_a_team_of_a_target_is_told(with_logins: Program) -> None:
    [spec] = [r.inputs["spec"] for r in with_logins.of_type(":PrometheusRule") if r.name.endswith("-rule-blackbox")]
    groups = spec["groups"]
    alerts = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    assert alerts["EndpointDown"]["labels"]["team"] == '{{ or $labels.team "apps" }}'
    assert alerts["HostUnreachable"]["labels"]["team"] == '{{ or $labels.team "network" }}'


def test_rules_stay_as_they_are_without_a_team() -> None:
    selection, _ = select_rules(stack_settings("dev"))
    assert probe_teams.by_target(selection, stack_settings("dev")) is selection
    other = Selection(
        [RuleFile("x", [{"name": "nodes", "rules": [{"alert": "A", "labels": {"team": "platform"}}]}])], []
    )
    named = settings(probe({**WEB, "team": "web"}))
    assert probe_teams.by_target(other, named).files == other.files


def test_the_example_of_the_documentation_is_good() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    own, outside, example = blocks
    chosen = settings(example["observability:blackbox"])
    by_job: dict[str, list[str]] = {}
    for _, key, one, target in targets(chosen):
        spec = blackbox_config.probe_spec(key, one, target, chosen)
        by_job.setdefault(spec["jobName"], []).append(target.address)
    for kind, hosts in ASKED_FOR.items():
        wanted = {f"https://{host}.example.com/" if host else "https://example.com/" for host in hosts}
        assert wanted <= set(by_job[f"blackbox-{kind}"])
    assert set(DEPENDENCIES) <= set(by_job["blackbox-tcp"])
    assert {"blackbox-dns", "blackbox-noredirect", "blackbox-icmp"} <= set(by_job)
    settings({**own["observability:blackbox"], "probes": {**own["observability:blackbox"]["probes"], **outside}})


def test_no_credential_stands_in_the_configuration(with_logins: Program) -> None:
    for resource in with_logins.resources:
        if resource.type.endswith(("core/v1:ConfigMap", ":Probe", "apps/v1:Deployment")):
            assert "<secret " not in json.dumps(resource.inputs), resource.name


@pytest.mark.parametrize("model", [HttpModule, DnsModule, GrpcModule], ids=lambda model: model.__name__)
def test_the_documentation_names_every_key_of_a_module(model: type[BaseModel]) -> None:
    kind = model.model_fields["kind"].annotation
    [line] = [x for x in PAGE.splitlines() if x.startswith(f"| `{get_args(kind)[0]}` | `timeout`")]
    named = set(re.findall(r"`(\w+)`", line.split("|")[2]))
    assert named == {field.alias or name for name, field in model.model_fields.items()} - {"kind"}
