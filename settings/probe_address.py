"""Addresses that may be probed. An exporter that asks whatever it is told must not ask what only the node may ask."""

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

METADATA_NAMES = (
    "metadata.google.internal",
    "metadata.goog",
    "metadata",
    "instance-data",
    "instance-data.ec2.internal",
)
"""Names of the cloud's metadata service, which hands out the identity of the node."""
METADATA_ADDRESSES = {ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")}
ADMIN_PORTS = {
    2379: "etcd",
    2380: "etcd",
    10250: "the kubelet",
    10255: "the kubelet",
}


def _address(value: str) -> str:
    if any(character.isspace() for character in value):
        raise ValueError("holds a blank; write a URL, a host, or host:port")
    try:
        parts = urlsplit(value if "://" in value else f"//{value}")
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise ValueError(f"is no address: {error}") from None
    if parts.username or parts.password:
        raise ValueError("carries credentials; give a module of your own with passwordSecret")
    if host in METADATA_NAMES or _is_admin(host):
        raise ValueError("is the node itself or the cloud's metadata service, which no probe may ask")
    if port in ADMIN_PORTS:
        raise ValueError(
            f"has port {port} of {ADMIN_PORTS[port]}, which is monitored by its metrics; probe something else"
        )
    return value


def _is_admin(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        # Also in the forms that a resolver takes: 127.1, 0x7f000001, 2130706433.
        address = ipaddress.ip_address(_number(host))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified or mapped in METADATA_ADDRESSES


def _number(host: str) -> str | int:
    parts = host.split(".")
    if ":" in host or len(parts) > 4 or not all(parts):
        return host
    numbers = [int(part, 8 if len(part) > 1 and part.isdigit() and part[0] == "0" else 0) for part in parts]
    value = numbers[-1]
    for at, number in enumerate(numbers[:-1]):
        value += number << (8 * (3 - at))
    return value


ProbeAddress = Annotated[str, Field(min_length=3), AfterValidator(_address)]
"""A URL, a host, or host:port, that is neither this node nor an administrator's door."""
