"""What the real chart makes of our values for Grafana."""

import configparser
from functools import cache
from typing import Any

import pytest
import yaml

from components import addresses, chart_values
from components.grafana_values import CHART_FOLDER, HOME, OIDC_KEY, OIDC_SECRET, ROLE, SECRET
from settings import Settings, parse
from tools import charts

CHART = "kube-prometheus-stack"
PLAIN: dict[str, Any] = {}
FULL = {
    "externalUrl": "https://grafana.example.com",
    "volumeSize": "5Gi",
    "embedding": True,
    "defaultDashboards": True,
    "plugins": ["grafana-clock-panel@2.1.9"],
    "oidc": {
        **{"clientId": "grafana", "clientSecretSecret": "grafanaOidc", "adminGroups": ["sre"]},
        **{f"{name}Url": f"https://id.example.com/{name}" for name in ("auth", "token", "api")},
    },
}


def settings(chosen: dict[str, Any]) -> Settings:
    cluster = {"name": "test", "distribution": "kubeadm", "runs": ["flux"]}
    sections = {"cluster": cluster, "alertmanager": {"heartbeat": "none"}, "grafana": chosen}
    return parse(sections, "f", check_secrets=False)


@cache
def rendered(full: bool) -> dict[tuple[str, str], dict[str, Any]]:
    """Grafana's objects of the real chart, by kind and name."""
    location = charts.chart(CHART)
    if location is None:
        pytest.skip(f"the chart {CHART} cannot be reached; set {charts.SETTING} to a folder with it")
    chosen = settings(FULL if full else PLAIN)
    objects = charts.template(location, CHART, chosen.namespaces.main, chart_values.values(chosen))
    return {(item["kind"], item["metadata"]["name"]): item for item in objects}


def pod(full: bool) -> dict[str, Any]:
    kind = "StatefulSet" if full else "Deployment"
    return dict(rendered(full)[kind, addresses.GRAFANA]["spec"]["template"]["spec"])


def container(full: bool, name: str) -> dict[str, Any]:
    [found] = [one for one in pod(full)["containers"] if one["name"] == name]
    return dict(found)


def ini(full: bool) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(rendered(full)["ConfigMap", addresses.GRAFANA]["data"]["grafana.ini"])
    return parser


@pytest.mark.parametrize("full", [False, True])
def test_login_embedding_and_alerting_are_as_asked(full: bool) -> None:
    found = ini(full)
    assert found["auth.anonymous"]["enabled"] == "false"
    assert found["unified_alerting"]["enabled"] == "false"
    assert found["security"]["allow_embedding"] == str(full).lower()
    assert found["dashboards"]["default_home_dashboard_path"] == HOME
    assert ("auth.generic_oauth" in found) == full


def test_single_sign_on_finds_its_secret() -> None:
    [volume] = [one for one in pod(True)["volumes"] if one.get("secret", {}).get("secretName") == OIDC_SECRET]
    [mount] = [one for one in container(True, "grafana")["volumeMounts"] if one["name"] == volume["name"]]
    assert ini(True)["auth.generic_oauth"]["client_secret"] == f"$__file{{{mount['mountPath']}/{OIDC_KEY}}}"


@pytest.mark.parametrize("full", [False, True])
def test_data_sources_have_fixed_uids_and_links(full: bool) -> None:
    text = rendered(full)["ConfigMap", f"{addresses.GRAFANA}-datasource"]["data"]["datasource.yaml"]
    found = {one["uid"]: one for one in yaml.safe_load(text)["datasources"]}
    assert set(found) == {"prometheus", "loki", "alertmanager"}
    assert found["prometheus"]["isDefault"]
    fields = found["loki"]["jsonData"]["derivedFields"]
    assert {field["url"] for field in fields} >= {"/d/logs-overview?var-pod=$${__value.raw}", "/d/flux"}
    assert found["loki"]["secureJsonData"] == {"basicAuthPassword": "$LOKI_PASSWORD"}
    [password] = [one for one in container(full, "grafana")["env"] if one["name"] == "LOKI_PASSWORD"]
    assert "secretKeyRef" in password["valueFrom"]


@pytest.mark.parametrize("full", [False, True])
def test_the_admins_password_is_that_of_our_secret_alone(full: bool) -> None:
    env = {one["name"]: one for one in container(full, "grafana")["env"]}
    assert env["GF_SECURITY_ADMIN_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"] == SECRET
    secrets = [name for kind, name in rendered(full) if kind == "Secret" and "grafana" in name]
    assert not secrets, "the chart would make a password of its own"


@pytest.mark.parametrize("full", [False, True])
def test_sidecars_are_limited_and_find_folders(full: bool) -> None:
    for name in ("grafana-sc-dashboard", "grafana-sc-datasources"):
        assert container(full, name)["resources"]["limits"]["memory"]
    env = {one["name"]: one.get("value") for one in container(full, "grafana-sc-dashboard")["env"]}
    assert (env["LABEL"], env["FOLDER_ANNOTATION"], env["NAMESPACE"]) == ("grafana_dashboard", "grafana_folder", "ALL")
    assert HOME.startswith(f"{env['FOLDER']}/")
    provider = rendered(full)["ConfigMap", f"{addresses.GRAFANA}-config-dashboards"]["data"]["provider.yaml"]
    [options] = [one["options"] for one in yaml.safe_load(provider)["providers"]]
    assert options == {"foldersFromFilesStructure": True, "path": env["FOLDER"]}


@pytest.mark.parametrize("full", [False, True])
def test_the_sidecar_may_read_config_maps_and_no_secrets(full: bool) -> None:
    binding = rendered(full)["ClusterRoleBinding", f"{addresses.GRAFANA}-clusterrolebinding"]
    assert binding["roleRef"]["name"] == ROLE
    roles = [
        one for (kind, name), one in rendered(full).items() if kind in {"Role", "ClusterRole"} and "grafana" in name
    ]
    assert not roles, "the chart makes one that reads Secrets"


def test_dashboards_of_the_chart_come_when_asked_for_in_a_folder_of_their_own() -> None:
    plain, asked = (
        [one for one in rendered(full).values() if one["metadata"].get("labels", {}).get("grafana_dashboard")]
        for full in (False, True)
    )
    assert not plain
    assert len(asked) > 10
    assert {one["metadata"]["annotations"]["grafana_folder"] for one in asked} == {CHART_FOLDER}


def test_what_is_kept_outlives_the_chart() -> None:
    claims = rendered(True)["StatefulSet", addresses.GRAFANA]["spec"]["volumeClaimTemplates"]
    assert [claim["spec"]["resources"]["requests"]["storage"] for claim in claims] == ["5Gi"]
    assert not [name for kind, name in rendered(True) if kind == "PersistentVolumeClaim"]
    storage = [one for one in pod(False)["volumes"] if one["name"] == "storage"]
    assert storage == [{"name": "storage", "emptyDir": {}}]


@pytest.mark.parametrize("full", [False, True])
def test_what_is_named_is_installed_at_start_and_nothing_else(full: bool) -> None:
    named = [one for one in container(full, "grafana")["env"] if one["name"] == "GF_PLUGINS_PREINSTALL_SYNC"]
    assert bool(named) == full
    if named:
        source = named[0]["valueFrom"]["configMapKeyRef"]
        assert rendered(full)["ConfigMap", source["name"]]["data"][source["key"]] == "grafana-clock-panel@2.1.9"
    assert ini(full)["plugins"].getboolean("preinstall_disabled", fallback=False) == (not full)
    assert not pod(full).get("initContainers")
