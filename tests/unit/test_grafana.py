"""Grafana's values: who gets in, what is kept, where links lead."""

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from components.dashboard_files import FOLDERS, load
from components.grafana_data_sources import FROM_LINE, derived_fields
from components.grafana_values import DASHBOARDS, HOME, OIDC_SECRET, configuration, grafana
from settings import Settings, SettingsError, parse
from tools.synth import ROOT, stack_config, synthesize

OIDC = {
    "clientId": "grafana",
    "clientSecretSecret": "grafanaOidc",
    "authUrl": "https://id.example.com/authorize",
    "tokenUrl": "https://id.example.com/token",
    "apiUrl": "https://id.example.com/userinfo",
}
URL = "https://grafana.example.com"
LINES = {
    "certificates": 'Get "https://api": tls: failed to verify certificate: x509: certificate has expired or is not yet',
    "gpu": "kernel: NVRM: Xid (PCI:0000:07:00): 79, pid=1234, GPU has fallen off the bus.",
    "flux": '{"level":"error","controllerKind":"Kustomization","msg":"Reconciliation failed"}',
    "argo-cd": 'time="2026-11-01T00:00:00Z" level=error msg="sync failed" application=argocd/shop',
    "postgresql": "psycopg2.OperationalError: FATAL:  sorry, too many clients already",
}


def settings(runs: tuple[str, ...] = (), dcgm: str = "off", **chosen: Any) -> Settings:
    cluster = {"name": "test", "distribution": "kubeadm", "runs": list(runs)}
    sections = {"cluster": cluster, "alertmanager": {"heartbeat": "none"}, "dcgm": {"mode": dcgm}, "grafana": chosen}
    return parse(sections, "f", check_secrets=False)


def ini(**chosen: Any) -> dict[str, Any]:
    return configuration(settings(**chosen).grafana)


def test_nobody_gets_in_without_a_login() -> None:
    found = ini()
    assert found["auth.anonymous"] == {"enabled": False}
    assert found["users"]["allow_sign_up"] is False
    assert found["snapshots"] == {"external_enabled": False}
    assert "auth.generic_oauth" not in found


def test_alerts_are_not_made_here_and_nothing_comes_from_the_internet() -> None:
    found = ini()
    assert found["unified_alerting"] == {"enabled": False}
    assert found["plugins"] == {"preinstall_disabled": True, "plugin_admin_enabled": False}
    assert found["analytics"]["check_for_updates"] is False
    assert grafana(settings())["plugins"] == []


def test_plugins_of_a_stack_are_installed() -> None:
    assert grafana(settings(plugins=["x@1.2.3"]))["plugins"] == ["x@1.2.3"]
    # With `preinstall_disabled` Grafana would leave these out too.
    assert ini(plugins=["x"])["plugins"] == {"preinstall_auto_update": False, "plugin_admin_enabled": False}


def test_embedding_is_a_choice() -> None:
    assert ini(externalUrl=URL)["security"]["allow_embedding"] is False
    assert ini(externalUrl=URL)["security"]["cookie_samesite"] == "lax"
    embedded = ini(externalUrl=URL, embedding=True)["security"]
    assert (embedded["allow_embedding"], embedded["cookie_samesite"], embedded["cookie_secure"]) == (True, "none", True)


def test_single_sign_on_reads_its_secret_from_a_file() -> None:
    found = ini(externalUrl=URL, oidc=OIDC)
    oidc = found["auth.generic_oauth"]
    assert oidc["client_secret"] == "$__file{/etc/secrets/oidc/client-secret}"
    assert oidc["use_pkce"] and oidc["role_attribute_strict"]
    [mount] = grafana(settings(externalUrl=URL, oidc=OIDC))["extraSecretMounts"]
    assert oidc["client_secret"] == f"$__file{{{mount['mountPath']}/client-secret}}"
    assert (mount["secretName"], mount["readOnly"]) == (OIDC_SECRET, True)
    assert found["auth"]["disable_login_form"] is False


@pytest.mark.parametrize(
    ("groups", "path"),
    [
        ({}, "'Viewer'"),
        ({"adminGroups": ["sre"]}, "groups && contains(groups[*], 'sre') && 'Admin' || 'Viewer'"),
        (
            {"adminGroups": ["sre"], "editorGroups": ["dev a", "dev b"], "viewerGroups": ["all"]},
            "groups && contains(groups[*], 'sre') && 'Admin' || groups && contains(groups[*], 'dev a') && 'Editor' || "
            "groups && contains(groups[*], 'dev b') && 'Editor' || groups && contains(groups[*], 'all') && 'Viewer'",
        ),
        ({"adminGroups": ["sre"], "viewerGroups": []}, "groups && contains(groups[*], 'sre') && 'Admin'"),
    ],
)
def test_roles_come_from_groups(groups: dict[str, Any], path: str) -> None:
    assert ini(externalUrl=URL, oidc={**OIDC, **groups})["auth.generic_oauth"]["role_attribute_path"] == path


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"oidc": OIDC}, "oidc is set, so externalUrl must be too"),
        ({"loginForm": False}, "nobody could log in"),
        ({"storageClass": "fast"}, "storageClass is set without volumeSize"),
        ({"externalUrl": URL, "oidc": {**OIDC, "adminGroups": ["it's"]}}, "oidc.adminGroups"),
    ],
)
def test_mistakes_are_said(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        settings(**chosen)


def test_a_volume_is_a_choice() -> None:
    assert grafana(settings())["persistence"] == {"enabled": False}
    assert grafana(settings(volumeSize="5Gi", storageClass="fast"))["persistence"] == {
        "enabled": True,
        "type": "statefulset",
        "size": "5Gi",
        "storageClassName": "fast",
    }


def test_the_home_page_is_the_cluster_overview_where_the_sidecar_puts_it() -> None:
    [board] = [one for one in load(ROOT / "dashboards") if one.name == "cluster-overview"]
    assert f"{DASHBOARDS}/{board.folder}/{board.name}.json" == HOME
    assert grafana(settings())["sidecar"]["dashboards"]["folder"] == DASHBOARDS
    assert grafana(settings())["sidecar"]["dashboards"]["annotations"]["grafana_folder"] not in FOLDERS.values()


def test_lines_lead_to_dashboards_that_there_are() -> None:
    boards = {one.content["uid"]: one.content for one in load(ROOT / "dashboards")}
    for field in derived_fields(settings(("flux", "argo-cd", "postgresql"), dcgm="deploy")):
        parts = urlsplit(field["url"].replace("$${__value.raw}", "x"))
        board = boards[parts.path.removeprefix("/d/")]
        known = {f"var-{variable['name']}" for variable in board["templating"]["list"]}
        assert set(parse_qs(parts.query)) <= known, field
        assert "$" not in field["url"].replace("$${", ""), "Grafana would look for it in its environment"


@pytest.mark.parametrize("uid", FROM_LINE)
def test_the_word_is_found_in_a_real_line_and_in_no_other(uid: str) -> None:
    expression, _ = FROM_LINE[uid]
    found = {name for name, line in LINES.items() if (match := re.search(expression, line)) and match[1]}
    assert found == {uid}


def test_no_line_leads_to_a_page_that_the_stack_does_not_have() -> None:
    names = {field["name"] for field in derived_fields(settings())}
    assert names == {"its namespace", "its pod", "dashboard certificates"}


def test_links_keep_the_path_of_the_address() -> None:
    fields = derived_fields(settings(externalUrl="https://example.com/grafana"))
    assert all(field["url"].startswith("/grafana/d/") for field in fields)


def test_the_secret_of_single_sign_on_is_in_a_secret_and_nowhere_else() -> None:
    config = stack_config(ROOT / "Pulumi.dev.yaml")
    config["observability:grafana"] = {"externalUrl": URL, "oidc": OIDC}
    config["observability:alertmanager"] = {"heartbeat": "none"}
    program = synthesize("dev", config, secrets={"grafanaOidc": "very-secret"})
    secret = program.named("kube-prometheus-stack-grafana-oidc")
    assert secret.type.endswith(":Secret")
    assert secret.inputs["metadata"]["name"] == OIDC_SECRET
    [chart] = program.of_type("v4:Chart")
    assert "very-secret" not in json.dumps(chart.inputs)
    assert "grafana-oidc" in json.dumps(chart.inputs)
