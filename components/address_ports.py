"""Ports of the addresses that a stack file names."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import BaseModel

from settings.channels import Email


def port_of(url: str) -> int:
    """The port of an http or https address, in it or by its scheme."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def receiver_ports(value: object) -> Iterator[int]:
    """What a receiver's settings say of its address; `security.receiverPorts` tells of addresses that are secrets."""
    if isinstance(value, Email):
        yield int(value.server.rpartition(":")[2])
    elif isinstance(value, BaseModel):
        for name, item in value:
            if name in {"url", "api_url"} and isinstance(item, str):
                yield port_of(item)
            else:
                yield from receiver_ports(item)
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from receiver_ports(item)
