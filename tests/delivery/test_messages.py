"""Messages as they are rendered: complete, cut in the right place, with addresses that lead somewhere."""

import json
import re
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import pytest

from components.links import DASHBOARDS, OTHER
from settings.channels import Channel
from tools.routes import shipped
from tools.synth import ROOT

from . import samples, stacks
from .templates import KINDS, Renderer, group, pod


@pytest.mark.parametrize("template", [name for name in KINDS if "title" not in name])
def test_the_list_ends_after_a_whole_alert_and_says_what_is_left(template: str, render: Renderer) -> None:
    alerts = [pod(annotations={**pod()["annotations"], "description": f"Alert {n:03} ends."}) for n in range(1000)]
    rendered = render(template, group(alerts))
    shown = len(re.findall(r"Alert \d{3} ends", rendered))
    left = re.search(r"(\d+) more are not shown", rendered)
    assert left
    assert shown > 10
    assert shown + int(left[1]) == 1000


def test_long_texts_are_cut_at_a_space(render: Renderer) -> None:
    words = " ".join(f"word{n}" for n in range(200))
    rendered = render("pagerduty.details", group([pod(annotations={"summary": words, "description": words})]))
    text = rendered.splitlines()[0]
    assert text.endswith(" …")
    assert words.startswith(text.removesuffix("…"))
    assert render("title", group([pod(annotations={"summary": words})])).endswith(" …")


def test_what_fits_is_not_cut(render: Renderer) -> None:
    text = ("word " * 80).strip()
    assert len(text) == 399
    assert text in render("pagerduty.details", group([pod(annotations={"summary": "s", "description": text})]))


def addresses(rendered: str) -> dict[str, str]:
    return dict(re.findall(r"(Runbook|Dashboard|Logs|Silence): (\S+)", rendered))


def test_addresses_have_the_right_variables_and_time(render: Renderer) -> None:
    found = addresses(render("pagerduty.details", group([pod()])))
    assert found["Runbook"] == "https://r.example.com/P.md"
    dashboard = urlsplit(found["Dashboard"])
    assert dashboard.path == "/d/kubernetes-failures"
    query = parse_qs(dashboard.query)
    assert (query["var-cluster"], query["var-namespace"]) == (["prod"], ["shop"])
    # One hour before 2026-01-10 08:00 UTC.
    assert (query["from"], query["to"]) == (["1768028400000"], ["now"])
    [pane] = json.loads(parse_qs(urlsplit(found["Logs"]).query)["panes"][0]).values()
    assert pane["queries"][0]["expr"] == '{cluster="prod",namespace="shop",pod="web-1"}'
    assert pane["range"] == {"from": "1768028400000", "to": "now"}
    silence = urlsplit(found["Silence"])
    assert silence.netloc == "alertmanager.example.com"
    matchers = parse_qs(silence.fragment.split("?")[1])["filter"]
    assert matchers == ['{alertname="PodCrashLooping",cluster="prod",namespace="shop"}']


def test_alerts_without_a_namespace_link_to_no_logs(render: Renderer) -> None:
    labels = {
        "alertname": "NodeNotReady",
        "severity": "critical",
        "cluster": "prod",
        "node": "w1",
        "component": "nodes",
    }
    found = addresses(render("pagerduty.details", group([pod(labels=labels)])))
    assert set(found) == {"Runbook", "Dashboard", "Silence"}
    dashboard = urlsplit(found["Dashboard"])
    assert dashboard.path == "/d/nodes"
    assert parse_qs(dashboard.query)["var-node"] == ["w1"]


@pytest.mark.parametrize("component", [*DASHBOARDS, "something-else"])
def test_dashboards_and_their_variables_exist(component: str, render: Renderer) -> None:
    names = ("namespace", "exported_namespace", "node", "service", "instance", "project")
    labels = {**pod()["labels"], "component": component, **dict.fromkeys(names, "value")}
    address = urlsplit(addresses(render("pagerduty.details", group([pod(labels=labels)])))["Dashboard"])
    uid = address.path.removeprefix("/d/")
    assert uid == DASHBOARDS.get(component, (OTHER, {}))[0]
    board = json.loads((ROOT / "dashboards" / f"{uid}.json").read_text())
    variables = {variable["name"] for variable in board["templating"]["list"]}
    asked = {key.removeprefix("var-") for key in parse_qs(address.query) if key.startswith("var-")}
    assert asked <= variables
    assert asked == {"cluster", *DASHBOARDS.get(component, (OTHER, {}))[1]}


def test_components_of_the_table_exist() -> None:
    known = {labels["component"] for stack in stacks.STACKS for labels in shipped(stacks.shipped(stack))}
    optional = {
        "calico",
        "nfs",
        "remote-write",
        "central-logs",
        "hub-logs",
        "grafana",
        "argo-cd",
        "mqtt",
        "events",
        "resources",
        "postgresql",
        "flux",
    }
    assert set(DASHBOARDS) <= known | optional


def test_resolved_says_when_and_after_how_long(render: Renderer) -> None:
    resolved = group([pod(status="resolved")])
    assert render("title", resolved) == "[RESOLVED] prod: Pod web-1 crashes"
    assert "Resolved 2026-01-10 08:30 UTC, after 30m 0s" in render("telegram.message", resolved)


def test_titles_count_what_fires(render: Renderer) -> None:
    assert render("title", group([pod(), pod()])) == "[CRITICAL] prod: 2 alerts, the first: Pod web-1 crashes"
    assert render("title", group([pod(), pod(status="resolved")])) == "[CRITICAL] prod: Pod web-1 crashes"


def digest(count: int) -> dict[str, Any]:
    labels = {"alertname": "NodeCordoned", "severity": "info", "cluster": "prod"}
    watchdog = {"labels": {**labels, "alertname": "Watchdog", "severity": "none"}, "annotations": {"summary": "alive"}}
    alerts = [{"labels": {**labels, "node": str(n)}, "annotations": {"summary": f"Node {n}"}} for n in range(count)]
    return group([watchdog, *alerts], ("cluster",))


def test_the_digest_leaves_the_watchdogs_out(render: Renderer) -> None:
    assert render("title", digest(3)) == "[DIGEST] prod: 3 info alerts of the last day"
    assert "Watchdog" not in render("email.text", digest(3))
    assert "NodeCordoned: Node 2" in render("email.text", digest(3))
    assert render("title", digest(0)) == "[DIGEST] prod: 0 info alerts of the last day"


def test_without_addresses_there_are_no_links(tmp_path: Path) -> None:
    chosen = stacks.settings(externalUrl=None)
    chosen = chosen.model_copy(update={"grafana": chosen.grafana.model_copy(update={"external_url": None})})
    stacks.rendered(chosen, tmp_path)
    text = (tmp_path / "templates" / "kind-telegram.tmpl").read_text()
    assert ">Runbook</a>" in text
    assert ">Dashboard</a>" not in text


def test_the_page_of_samples_is_up_to_date(render: Renderer) -> None:
    written = samples.PAGE.read_text(encoding="utf-8")
    assert written == samples.page(render), "run: python -m tests.delivery.samples"


def test_every_kind_has_a_sample() -> None:
    models = get_args(get_args(Channel)[0])
    kinds = {get_args(model.model_fields["kind"].annotation)[0] for model in models}
    assert set(samples.FIELDS) | {"webhook"} == kinds
