"""Loki's settings, its configuration in each mode, and what is rendered of it."""

import json
from typing import Any

import pytest
import yaml

from components import loki_config, loki_distributed, loki_gateway_config
from components.flows import flows
from components.peers import LOKI, MINIO
from settings import Settings, SettingsError, parse
from tools.manifests import unset_secrets
from tools.synth import ROOT, Program, stack_config, synthesize

S3 = {"type": "s3", "bucket": "logs", "region": "eu-central-1"}
KEYS = {"accessKeyIdSecret": "accessKey", "secretAccessKeySecret": "secretKey"}


def settings(**loki: Any) -> Settings:
    cluster = {"name": "test", "distribution": "kubeadm"}
    return parse({"cluster": cluster, "alertmanager": {"heartbeat": "none"}, "loki": loki}, "f", check_secrets=False)


def program(**loki: Any) -> Program:
    file = ROOT / "Pulumi.dev.yaml"
    config = stack_config(file) | {"observability:loki": loki}
    return synthesize("dev", config, secrets=dict.fromkeys(unset_secrets(file, config), "x"))


@pytest.mark.parametrize(
    ("loki", "said"),
    [
        ({"mode": "distributed"}, "mode distributed needs object storage"),
        ({"mode": "distributed", "storage": S3, "replicas": 3}, "replicas is for mode singleBinary"),
        ({"parts": {"queriers": 5}}, "parts is for mode distributed"),
        ({"mode": "distributed", "storage": S3, "parts": {"ingesters": 2}}, "greater than or equal to 3"),
        ({"replicas": 3}, "need object storage"),
        ({"storage": {"type": "minio"}, "serviceAccountAnnotations": {"a": "b"}}, "storage is minio"),
        ({"retentionStreams": [{"app": "web", "period": "12h"}]}, "whole hours of at least 24h"),
        ({"retentionStreams": [{"period": "48h"}]}, "names no streams"),
    ],
)
def test_mistakes(loki: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings(**loki)


def test_the_first_retention_that_fits_counts() -> None:
    streams = [{"namespace": "audit", "period": "90d"}, {"namespace": "audit", "app": "debug", "period": "1d"}]
    limits = loki_config.limits(settings(retentionStreams=streams).loki)
    assert limits["retention_stream"] == [
        {"selector": '{namespace="audit",app="debug"}', "priority": 1, "period": "24h"},
        {"selector": '{namespace="audit"}', "priority": 2, "period": "2160h"},
    ]
    assert "retention_stream" not in loki_config.limits(settings().loki)


def test_parts_find_each_other() -> None:
    config = loki_config.config(settings(mode="distributed", storage=S3))
    domain = "monitoring.svc.cluster.local"
    assert config["memberlist"]["join_members"] == [f"loki-memberlist.{domain}:7946"]
    assert config["frontend_worker"]["scheduler_address"] == f"loki-query-scheduler-headless.{domain}:9095"
    assert config["common"]["replication_factor"] == 3
    assert config["ruler"]["enable_sharding"]
    assert "frontend" not in loki_config.config(settings(replicas=3, storage=S3))


def test_the_gateway_knows_the_parts() -> None:
    apart = loki_gateway_config.nginx_config(settings(mode="distributed", storage=S3))
    for part in ("distributor", "query-frontend", "ruler"):
        assert f"proxy_pass http://loki-{part}.monitoring.svc.cluster.local:3100;" in apart
    assert loki_gateway_config.nginx_config(settings()).count("http://loki.monitoring.svc.cluster.local:3100") == 4


def test_a_distributed_loki_is_the_chart_with_our_configuration() -> None:
    made = program(mode="distributed", storage={**S3, **KEYS})
    [chart] = [item for item in made.of_type("v4:Chart") if item.inputs["name"] == "loki"]
    values = chart.inputs["values"]
    assert yaml.safe_load(values["loki"]["config"])["common"]["path_prefix"] == "/var/loki"
    assert not chart.secret
    assert "<secret" not in json.dumps(values)
    assert {item["name"] for item in values["global"]["extraEnv"]} == {"S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"}
    assert [item.inputs["metadata"]["name"] for item in made.of_type("StatefulSet")].count("loki") == 0
    mounted = [source["configMap"]["name"] for source in values["ruler"]["extraVolumes"][0]["projected"]["sources"]]
    shipped = [item.inputs["metadata"]["name"] for item in made.of_type("v1:ConfigMap")]
    assert mounted
    assert set(mounted) == {name for name in shipped if name.startswith("rules-loki-")}


def test_values_name_no_secret_and_no_second_gateway() -> None:
    values = loki_distributed.values(settings(mode="distributed", storage=S3), [], {})
    assert values["global"]["extraEnv"] == []
    assert all(values[name] == {"enabled": False} for name in loki_distributed.OFF)


def test_a_minio_of_the_stack() -> None:
    chosen = settings(storage={"type": "minio"})
    s3 = loki_config.config(chosen)["common"]["storage"]["s3"]
    assert s3["endpoint"] == "http://minio.monitoring.svc.cluster.local:9000"
    assert loki_config.config(chosen)["schema_config"]["configs"][0]["object_store"] == "s3"
    pairs = {(flow.source, flow.target) for flow in flows(chosen)}
    assert (LOKI, MINIO) in pairs
    made = program(storage={"type": "minio"})
    [secret] = [item for item in made.of_type("v1:Secret") if item.inputs["metadata"]["name"] == "loki-storage"]
    assert secret.secret
    names = [item.inputs["metadata"]["name"] for item in made.of_type("StatefulSet")]
    assert {"minio", "loki"} <= set(names)


def test_htpasswd_is_salted_sha1() -> None:
    # {SSHA}: base64 of the digest of password and salt, followed by the salt.
    assert loki_gateway_config.htpasswd("user", "password", "salt") == "user:{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0\n"
