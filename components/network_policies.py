"""NetworkPolicies: everything is denied in both directions but the flows of components/flows.py, and DNS."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import pods
from components.flows import Flow, apps, flows
from components.peers import App, Host, Namespace, Outside, Peer
from settings import Settings
from settings.cluster import Distribution, NamespacesSettings

DNS_PORT = 53
NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""Label that the API server itself puts on every namespace."""


def enabled(settings: Settings) -> bool:
    """Whether the stack has policies. The local cluster's network plugin enforces none, so there they prove nothing."""
    chosen = settings.security.network_policies
    return settings.cluster.distribution is not Distribution.LOCAL if chosen is None else chosen


def policies(settings: Settings) -> list[dict[str, Any]]:
    """Name, namespace and spec of every policy: a default and DNS for each namespace, then one for each app."""
    namespaces = settings.namespaces
    result = []
    for namespace in (namespaces.main, namespaces.agents):
        everything = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        result.append({"name": "default-deny", "namespace": namespace, "spec": everything})
        # By port alone: node-local DNS and cloud resolvers are no pods, and a Service's address is none either.
        ports = [{"port": DNS_PORT, "protocol": protocol} for protocol in ("UDP", "TCP")]
        dns = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": ports}]}
        result.append({"name": "allow-dns", "namespace": namespace, "spec": dns})
    table = flows(settings)
    for app in apps(settings):
        spec: dict[str, Any] = {
            "podSelector": {"matchLabels": pods.selector(app.name)},
            "policyTypes": ["Ingress", "Egress"],
        }
        incoming = [_rule("from", flow.source, flow, namespaces) for flow in table if flow.target == app]
        outgoing = [_rule("to", flow.target, flow, namespaces) for flow in table if flow.source == app]
        spec |= ({"ingress": incoming} if incoming else {}) | ({"egress": outgoing} if outgoing else {})
        result.append({"name": app.name, "namespace": _home(app, namespaces), "spec": spec})
    return result


def _home(app: App, namespaces: NamespacesSettings) -> str:
    return namespaces.agents if app.agents else namespaces.main


def _rule(side: str, peer: Peer, flow: Flow, namespaces: NamespacesSettings) -> dict[str, Any]:
    selected = _peers(peer, namespaces)
    return ({side: selected} if selected else {}) | (
        {"ports": [{"port": flow.port, "protocol": flow.protocol}]} if flow.port else {}
    )


def _peers(peer: Peer, namespaces: NamespacesSettings) -> list[dict[str, Any]]:
    match peer:
        case App():
            home = {"matchLabels": {NAMESPACE_NAME: _home(peer, namespaces)}}
            return [{"namespaceSelector": home, "podSelector": {"matchLabels": pods.selector(peer.name)}}]
        case Namespace(name=None):
            return [{"namespaceSelector": {}}]
        case Namespace(name=name):
            return [{"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: name}}}]
        case Host() | Outside():
            # No peer is every peer. An address block would not do: Cilium matches neither nodes nor pods by one.
            return []


class NetworkPolicies(pulumi.ComponentResource):
    """The policies of both namespaces."""

    def __init__(self, name: str, *, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("observability:index:NetworkPolicies", name, {}, opts)
        for policy in policies(settings):
            k8s.networking.v1.NetworkPolicy(
                f"{name}-{policy['namespace']}-{policy['name']}",
                metadata=pods.metadata(policy["name"], policy["namespace"]),
                spec=policy["spec"],
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})
