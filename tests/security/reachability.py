"""What rendered NetworkPolicies let through, by the semantics of the Kubernetes API; knows nothing of the table."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod with an address of its own."""

    namespace: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Address:
    """A node, the API server, or anything outside: no selector matches it."""

    ip: str


Endpoint = Pod | Address


def allowed(policies: Sequence[Policy], source: Endpoint, target: Endpoint, port: int, protocol: str) -> bool:
    """Whether a connection is let out of its source and into its target."""
    return _side(policies, "Egress", source, target, port, protocol) and _side(
        policies, "Ingress", target, source, port, protocol
    )


def _side(
    policies: Sequence[Policy], direction: str, here: Endpoint, there: Endpoint, port: int, protocol: str
) -> bool:
    if isinstance(here, Address):
        return True
    binding = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == here.namespace
        and direction in policy["spec"]["policyTypes"]
        and _matches(policy["spec"]["podSelector"], dict(here.labels))
    ]
    if not binding:
        return True
    rules = [rule for spec in binding for rule in spec.get(direction.lower(), [])]
    key = "to" if direction == "Egress" else "from"
    return any(_port(rule, port, protocol) and _peer(rule.get(key), there) for rule in rules)


def _port(rule: Mapping[str, Any], port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any(
        item.get("protocol", "TCP") == protocol and item["port"] <= port <= item.get("endPort", item["port"])
        for item in ports
    )


def _peer(peers: Sequence[Mapping[str, Any]] | None, there: Endpoint) -> bool:
    return not peers or any(_one_peer(peer, there) for peer in peers)


def _one_peer(peer: Mapping[str, Any], there: Endpoint) -> bool:
    if isinstance(there, Address):
        block = peer.get("ipBlock")
        return block is not None and ipaddress.ip_address(there.ip) in ipaddress.ip_network(block["cidr"])
    if "namespaceSelector" not in peer:
        raise ValueError(f"a peer without namespace is not in use here: {peer}")
    named = {"kubernetes.io/metadata.name": there.namespace}
    return _matches(peer["namespaceSelector"], named) and _matches(peer.get("podSelector", {}), dict(there.labels))


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if set(selector) - {"matchLabels"}:
        raise ValueError(f"a selector of this kind is not in use here: {selector}")
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items())
