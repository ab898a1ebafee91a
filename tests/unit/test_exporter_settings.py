"""Exporters of applications, the Cloudflare tunnel and annotated pods: settings, objects, and the rules they bring."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from components import cloudflare_tunnel, exporter_pods
from components.flows import flows
from components.images import needed
from components.peers import App, Outside
from components.stack import select_rules
from settings import Settings, SettingsError, parse
from tests.unit.conftest import run
from tools.synth import ROOT, Program, placeholder, stack_config, synthesize

LOGIN = {"name": "login"}
DATABASE = {"address": "db.shop.svc:5432", "credentials": LOGIN}
DEPLOYED = {
    "postgresql": {"mode": "deploy", "servers": {"shop": DATABASE, "wiki": {**DATABASE, "address": "wiki-db:5433"}}},
    "mosquitto": {"mode": "deploy", "brokers": {"home": {"address": "mosquitto.mqtt.svc:1883", "credentials": LOGIN}}},
    "teslamate": {"mode": "deploy", "server": {**DATABASE, "database": "teslamate", "tls": "disable"}},
}
TUNNEL = {"mode": "deploy", "tokenSecret": "tunnelToken", "opens": ["grafana", "prometheus"]}


def settings(**sections: Mapping[str, Any]) -> Settings:
    base = {"cluster": {"name": "test", "distribution": "kubeadm"}, "alertmanager": {"heartbeat": "none"}}
    return parse({**base, **sections}, "Pulumi.test.yaml", check_secrets=False)


def deployed(**server: Any) -> dict[str, Any]:
    return {"exporters": {"postgresql": {"mode": "deploy", "servers": {"shop": {**DATABASE, **server}}}}}


@pytest.fixture(scope="module")
def program() -> Program:
    config = stack_config(ROOT / "Pulumi.dev.yaml") | {
        "observability:exporters": DEPLOYED,
        "observability:cloudflareTunnel": TUNNEL,
    }
    keys = ["onCallUrl", "telegramToken", "teamUrl", "smtpPassword", "heartbeatUrl", "logsHeartbeatUrl", "tunnelToken"]
    return synthesize("dev", config, secrets={key: placeholder(key) for key in keys})


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"exporters": {"postgresql": {"mode": "deploy"}}}, "servers are what the exporter reads"),
        ({"exporters": {"postgresql": {"mode": "existing"}}}, "job names what is there already"),
        ({"exporters": {"postgresql": {"servers": {"a": DATABASE}}}}, "give them with mode deploy, and only there"),
        ({"exporters": {"mosquitto": {"mode": "deploy"}}}, "brokers are what the exporter reads"),
        ({"exporters": {"teslamate": {"mode": "deploy"}}}, "server is what the exporter reads"),
        ({"exporters": {"teslamate": {"mode": "off", "job": "sql"}}}, "job names what is there already"),
        ({"exporters": {"postgres": {}}}, "did you mean postgresql?"),
        (deployed(credentials={**LOGIN, "usernameKey": "login", "passwordKey": "login"}), "are both login; each is"),
        (deployed(credentials={**LOGIN, "usernameKey": "a/b"}), "credentials.usernameKey: 'a/b'"),
        (deployed(database=""), "servers.shop.database: ''"),
        ({"cloudflareTunnel": {"mode": "deploy"}}, "tokenSecret belongs to mode deploy"),
        ({"cloudflareTunnel": {"mode": "existing"}}, "job names a tunnel that is there already"),
        ({"cloudflareTunnel": {"mode": "deploy", "tokenSecret": "a", "opens": ["loki"]}}, "'grafana', 'prometheus'"),
    ],
)
def test_mistakes_are_said(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        settings(**sections)


def test_a_tunnel_leads_to_a_page_that_is_there() -> None:
    off: dict[str, Any] = {"cloudflareTunnel": TUNNEL, "grafana": {"enabled": False}}
    with pytest.raises(SettingsError, match=re.escape("cloudflareTunnel.opens: names grafana, and grafana.enabled is")):
        cloudflare_tunnel.check(settings(**off))
    for good in ({**TUNNEL, "opens": ["prometheus"]}, {"mode": "existing", "job": "edge"}, {}):
        cloudflare_tunnel.check(settings(**{**off, "cloudflareTunnel": good}))


def test_any_name_of_a_database_is_one_part_of_its_url() -> None:
    odd = {**DATABASE, "database": "shop@eu/1?sslmode=disable#%41"}
    chosen = settings(
        exporters={
            "postgresql": {"mode": "deploy", "servers": {"shop": odd}},
            "teslamate": {"mode": "deploy", "server": odd},
        }
    )
    by_name = {one.object_name: one for one in exporter_pods.instances(chosen)}
    config = by_name["sql-exporter-teslamate"].config
    assert config
    urls = [f"postgres://{by_name['postgres-exporter-shop'].env[0]['value']}", config["target"]["data_source_name"]]
    for url in urls:
        parts = urlsplit(url)
        assert unquote(parts.path) == f"/{odd['database']}"
        assert (parts.hostname, parts.query) == ("db.shop.svc", "sslmode=require")


def shipped(chosen: Settings) -> dict[str, str]:
    selection, _ = select_rules(chosen)
    return {rule["alert"]: rule["expr"] for rule in selection.alerts()}


def test_rules_come_with_their_exporter() -> None:
    runs = {"name": "test", "distribution": "kubeadm", "runs": ["postgresql", "mqtt", "teslamate", "cloudflare-tunnel"]}
    without = settings(cluster=runs)
    there = shipped(without)
    assert {"PostgreSQLDiskFull", "TeslaMateDown", "TunnelReplicasLow"} <= set(there)
    needs = {"PostgreSQLDown", "MQTTBrokerDown", "TeslaMateDataCollectionStopped", "TunnelConnectionsLow"}
    assert not needs & set(there)
    left = {one.alert: one.why for one in select_rules(without)[0].left_out}
    assert left["PostgreSQLDown"] == "it needs postgres-exporter, and exporters.postgresql.mode is off"
    assert left["TunnelConnectionsLow"] == "it needs metrics of cloudflared, and cloudflareTunnel.mode is off"
    # What is exported runs: it need not be named twice.
    assert needs <= set(shipped(settings(exporters=DEPLOYED, cloudflareTunnel=TUNNEL)))


def test_rules_read_the_job_that_is_there_already() -> None:
    existing = {"postgresql": {"mode": "existing", "job": "databases/pg"}}
    found = shipped(settings(exporters=existing, cloudflareTunnel={"mode": "existing", "job": "edge"}))
    assert 'absent(pg_up{job="databases/pg"})' in found["PostgreSQLDown"]
    assert 'job="postgres-exporter"' not in "".join(found.values())
    assert '{job="edge"}' in found["TunnelConnectionsLow"]


def test_deployed_exporters(program: Program) -> None:
    deployments = {r.inputs["metadata"]["name"]: r for r in program.of_type(":Deployment")}
    names = {"postgres-exporter-shop", "postgres-exporter-wiki", "mosquitto-exporter-home", "sql-exporter-teslamate"}
    assert names <= set(deployments)
    monitors = {r.inputs["metadata"]["name"]: r.inputs["spec"] for r in program.of_type(":PodMonitor")}
    for name in names:
        spec = deployments[name].inputs["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        assert monitors[name]["selector"]["matchLabels"].items() <= labels.items()
        assert monitors[name]["jobLabel"] == "app.kubernetes.io/name"
        assert labels["app.kubernetes.io/name"] == name.rsplit("-", 1)[0]
    targets = [one["relabelings"][-1] for one in monitors["postgres-exporter-wiki"]["podMetricsEndpoints"]]
    assert targets == [{"targetLabel": "instance", "replacement": "wiki-db:5433"}]


def test_no_credential_passes_through_the_stack(program: Program) -> None:
    for name in ("postgres-exporter-shop", "mosquitto-exporter-home", "sql-exporter-teslamate"):
        pod = program.named(f"exporters-{name}").inputs["spec"]["template"]["spec"]
        text = json.dumps(pod)
        assert "<secret" not in text
        by_file = [one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one]
        environment = pod["containers"][0]["env"]
        by_key = [one["valueFrom"]["secretKeyRef"]["name"] for one in environment if "valueFrom" in one]
        assert {*by_file, *by_key} == {"login"}
    config = program.named("exporters-sql-exporter-teslamate-config").inputs["data"]["sql_exporter.yml"]
    assert "postgres://db.shop.svc:5432/teslamate?sslmode=disable" in config
    assert "@" not in config


def test_an_exporter_that_waits_for_its_broker_is_not_killed() -> None:
    chosen = settings(exporters=DEPLOYED)
    by_name = {one.object_name: exporter_pods.pod_spec(one, chosen) for one in exporter_pods.instances(chosen)}
    [container] = by_name["mosquitto-exporter-home"]["containers"]
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] >= 86400
    assert "startupProbe" not in by_name["postgres-exporter-shop"]["containers"][0]


def test_flows_of_exporters_and_tunnel() -> None:
    table = flows(settings(exporters=DEPLOYED, cloudflareTunnel=TUNNEL))
    tunnel = App(cloudflare_tunnel.APP)
    assert {f.target for f in table if f.source == tunnel} == {App("grafana"), App("prometheus"), Outside()}
    assert {(f.port, f.protocol) for f in table if f.source == tunnel and f.target == Outside()} == {
        (7844, "TCP"),
        (7844, "UDP"),
    }
    assert {f.port for f in table if f.source == App("postgres-exporter")} == {5432, 5433}
    assert {f.port for f in table if f.source == App("mosquitto-exporter")} == {1883}
    for name, port in {**exporter_pods.PORTS, "cloudflared": 2000}.items():
        assert [f.port for f in table if f.source == App("prometheus") and f.target == App(name)] == [port]


def test_images_are_asked_for_where_they_run() -> None:
    ours = {"postgres-exporter", "mosquitto-exporter", "sql-exporter", "cloudflared"}
    assert not ours & set(needed(settings()))
    assert ours <= set(needed(settings(exporters=DEPLOYED, cloudflareTunnel=TUNNEL)))


def test_tunnel(program: Program) -> None:
    secret = program.named("cloudflare-tunnel-token")
    assert secret.secret
    spec = program.named("cloudflare-tunnel-deployment").inputs["spec"]
    [container] = spec["template"]["spec"]["containers"]
    assert spec["replicas"] == 2
    assert "token" not in " ".join(container["args"])
    assert container["env"] == [{"name": "TUNNEL_TOKEN_FILE", "value": "/etc/cloudflared/token"}]
    assert program.named("cloudflare-tunnel-disruption-budget").inputs["spec"]["maxUnavailable"] == 1
    grace = spec["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > cloudflare_tunnel.DRAIN_SECONDS
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"


def test_annotated_pods_are_scraped_behind_a_switch() -> None:
    [config] = run("prod").of_type(":ScrapeConfig")
    assert config.inputs["apiVersion"] == "monitoring.coreos.com/v1alpha1"
    assert config.inputs["spec"]["kubernetesSDConfigs"] == [{"role": "Pod", "namespaces": {"names": ["shop"]}}]
    assert run("dev").of_type(":ScrapeConfig") == []
