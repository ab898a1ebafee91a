"""What the rendered policies let through is what the table of flows says, no more and no less."""

import json
from typing import Any

import pytest

from components import peers
from components.flows import apps, flows
from components.network_policies import enabled, policies
from settings import Settings
from tests.security import reachability, stacks
from tests.security.reachability import Address, Endpoint, Pod

STRANGER = Pod("default", (("app.kubernetes.io/name", "prometheus"),))
"""A pod of another namespace that carries the label of one of ours."""
INGRESS = Pod("ingress-nginx", (("app", "controller"),))
HOST, OUTSIDE = Address("10.0.0.1"), Address("203.0.113.9")
DECOY_PORT = 4321
DNS = [(53, "UDP"), (53, "TCP")]
EVERYTHING = {
    "security": {"ingressNamespaces": ["ingress-nginx"], "hostScrapePorts": [9962], "receiverPorts": [8443]},
    "prometheus": {"remoteWrite": [{"name": "central", "url": "https://metrics.example.com:8444/write"}]},
    "cluster": {"name": "all", "distribution": "kubeadm", "runs": ["calico"], "controlPlane": ["scheduler", "etcd"]},
    "dcgm": {"mode": "deploy"},
    "centralLogs": {"url": "https://logs.example.com:8445", "passwordSecret": "hubLogs"},
    "hub": {"enabled": True, "logSenders": [{"cluster": "edge", "passwordSecret": "edgeLogs"}]},
}


def variants() -> dict[str, Settings]:
    return {
        "dev": stacks.settings_of("dev"),
        "prod": stacks.settings_of("prod"),
        "everything": stacks.changed("prod", EVERYTHING),
        "alloy": stacks.changed("prod", {"logAgent": {"program": "alloy"}}),
        "alloy to a hub": stacks.changed(
            "prod", {"logAgent": {"program": "alloy"}, "centralLogs": EVERYTHING["centralLogs"]}
        ),
        "plugins": stacks.changed("prod", {"grafana": {"plugins": ["grafana-clock-panel"]}}),
        "without grafana": stacks.changed("prod", {"grafana": {"enabled": False}}),
    }


VARIANTS = variants()


def rendered(settings: Settings) -> list[dict[str, Any]]:
    return [
        {"metadata": {"name": item["name"], "namespace": item["namespace"]}, "spec": item["spec"]}
        for item in policies(settings)
    ]


def pod(settings: Settings, app: peers.App) -> Pod:
    namespace = settings.namespaces.agents if app.agents else settings.namespaces.main
    # Pods carry more labels than the one of the selector.
    return Pod(namespace, (("app.kubernetes.io/name", app.name), ("app.kubernetes.io/part-of", "x")))


def covers(settings: Settings, peer: peers.Peer, endpoint: Endpoint) -> bool:
    match peer:
        case peers.App():
            return endpoint == pod(settings, peer)
        case peers.Namespace(name=name):
            return isinstance(endpoint, Pod) and name in {None, endpoint.namespace}
        case _:
            return True


def expected(settings: Settings, source: Endpoint, target: Endpoint, port: int, protocol: str) -> bool:
    """By the table: a flow lets it out of its source, and, where the target is ours, one lets it in."""
    ours = [pod(settings, app) for app in apps(settings)]
    hits = [
        flow
        for flow in flows(settings)
        if covers(settings, flow.source, source)
        and covers(settings, flow.target, target)
        and (flow.port is None or (flow.port, flow.protocol) == (port, protocol))
    ]
    out = source not in ours or bool(hits) or (port, protocol) in DNS
    into = target not in ours or any(isinstance(flow.target, peers.App) for flow in hits)
    return out and into


@pytest.mark.parametrize("name", VARIANTS)
def test_reachability_is_the_table(name: str) -> None:
    settings = VARIANTS[name]
    endpoints: list[Endpoint] = [
        *(pod(settings, app) for app in apps(settings)),
        STRANGER,
        INGRESS,
        HOST,
        OUTSIDE,
    ]
    ports = {(flow.port, flow.protocol) for flow in flows(settings) if flow.port is not None}
    ports |= {(DECOY_PORT, "TCP"), (DECOY_PORT, "UDP"), *DNS}
    found = rendered(settings)
    judged, through, wrong = 0, 0, []
    for source in endpoints:
        for target in endpoints:
            for port, protocol in sorted(ports):
                really = reachability.allowed(found, source, target, port, protocol)
                judged, through = judged + 1, through + really
                if really != expected(settings, source, target, port, protocol):
                    wrong.append((source, target, port, protocol, really))
    print(f"{name}: {judged} combinations of source, target and port judged, {through} let through")
    assert wrong == []


def test_what_matters_most() -> None:
    """Said by hand, so that a mistake in the table is seen too."""
    settings = VARIANTS["prod"]
    found = rendered(settings)

    def can(source: Endpoint | peers.App, target: Endpoint | peers.App, port: int) -> bool:
        ends = [pod(settings, end) if isinstance(end, peers.App) else end for end in (source, target)]
        return reachability.allowed(found, ends[0], ends[1], port, "TCP")

    assert can(peers.LOKI, peers.ALERTMANAGER, 9093)
    assert can(peers.LOKI, peers.PROMETHEUS, 9090)
    agent = peers.log_agent(settings)
    assert can(agent, peers.GATEWAY, 8080)
    assert can(peers.EVENT_EXPORTER, peers.GATEWAY, 8080)
    assert can(peers.GATEWAY, peers.LOKI, 3100)
    assert can(peers.GRAFANA, peers.GATEWAY, 8080)
    assert can(peers.PROMETHEUS, HOST, 10250)
    assert can(peers.ALERTMANAGER, OUTSIDE, 587), "the SMTP server of the digest"
    assert can(peers.BLACKBOX, OUTSIDE, 12345)
    for client in (peers.GRAFANA, agent, peers.BLACKBOX, STRANGER, INGRESS, HOST):
        assert not can(client, peers.LOKI, 3100), "Loki only through the gateway"
    for client in (STRANGER, INGRESS, agent, peers.GRAFANA, peers.LOKI):
        assert not can(client, peers.BLACKBOX, 9115), "no open proxy"
    for target, port in ((peers.PROMETHEUS, 9090), (peers.ALERTMANAGER, 9093), (peers.GRAFANA, 3000)):
        assert not can(STRANGER, target, port)
    assert not can(peers.GRAFANA, OUTSIDE, 80)
    assert not can(agent, OUTSIDE, 8080)


def test_a_hub_is_reached_by_the_second_agent_alone_and_takes_lines_by_its_ingress_alone() -> None:
    settings = VARIANTS["everything"]
    found = rendered(settings)

    def can(source: Endpoint, target: Endpoint, port: int) -> bool:
        return reachability.allowed(found, source, target, port, "TCP")

    agent, central = pod(settings, peers.log_agent(settings)), pod(settings, peers.CENTRAL_LOGS)
    gateway = pod(settings, peers.GATEWAY)
    events = pod(settings, peers.CENTRAL_EVENTS)
    for sender in (central, events):
        assert can(sender, OUTSIDE, 8445)
        assert not can(sender, gateway, 8080)
    assert not can(pod(settings, peers.EVENT_EXPORTER), OUTSIDE, 8445)
    assert not can(agent, OUTSIDE, 8445)
    assert can(INGRESS, gateway, 8080)
    assert not can(STRANGER, gateway, 8080)
    plain = VARIANTS["prod"]
    assert not reachability.allowed(rendered(plain), INGRESS, pod(plain, peers.GATEWAY), 8080, "TCP")


def test_a_forgotten_rule_and_one_too_many_are_seen() -> None:
    """The comparison bites."""
    settings = VARIANTS["prod"]
    loki, alertmanager = pod(settings, peers.LOKI), pod(settings, peers.ALERTMANAGER)
    found = json.loads(json.dumps(rendered(settings)))
    policy = next(item["spec"] for item in found if item["metadata"]["name"] == "loki")
    policy["egress"] = [
        rule
        for rule in policy["egress"]
        if "to" not in rule or rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] != "alertmanager"
    ]
    assert not reachability.allowed(found, loki, alertmanager, 9093, "TCP")
    assert expected(settings, loki, alertmanager, 9093, "TCP")
    policy["ingress"].append({})
    assert reachability.allowed(found, STRANGER, loki, 3100, "TCP")
    assert not expected(settings, STRANGER, loki, 3100, "TCP")


@pytest.mark.parametrize("stack", stacks.STACKS)
def test_every_pod_has_its_policy(stack: str) -> None:
    settings = stacks.settings_of(stack)
    names = {(item["namespace"], item["name"]) for item in policies(settings)}
    for workload in stacks.workloads(stack):
        template = workload["spec"]["template"]
        app = template["metadata"]["labels"]["app.kubernetes.io/name"]
        if not template["spec"].get("hostNetwork"):
            assert (workload["metadata"]["namespace"], app) in names, app


@pytest.mark.parametrize("stack", stacks.STACKS)
def test_every_port_of_a_flow_is_a_port_of_its_pod(stack: str) -> None:
    """Policies see the pod's port and not its Service's: 3000 of Grafana, where the Service says 80."""
    settings = stacks.settings_of(stack)
    ports = {
        workload["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]: {
            port["containerPort"]
            for container in workload["spec"]["template"]["spec"]["containers"]
            for port in container.get("ports", [])
        }
        for workload in stacks.workloads(stack)
    }
    for flow in flows(settings):
        if isinstance(flow.target, peers.App) and flow.target.name in ports:
            assert flow.port in ports[flow.target.name], flow


def test_each_flow_is_listed_once_and_says_why() -> None:
    for settings in VARIANTS.values():
        seen = [(flow.source, flow.target, flow.port, flow.protocol) for flow in flows(settings)]
        assert all(flow.why for flow in flows(settings))
        assert len(seen) == len(set(seen)), [item for item in seen if seen.count(item) > 1]


def test_on_by_default_but_on_the_local_cluster() -> None:
    assert not enabled(stacks.settings_of("dev"))
    assert enabled(stacks.settings_of("prod"))
    assert enabled(stacks.changed("dev", {"security": {"networkPolicies": True}}))
    assert not enabled(stacks.changed("prod", {"security": {"networkPolicies": False}}))
    found = [item for item in stacks.objects("prod") if item["kind"] == "NetworkPolicy"]
    assert len(found) == len(policies(stacks.settings_of("prod")))
