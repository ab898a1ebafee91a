"""How every shipper of ours pushes to Loki: small batches, and retries without end."""

from dataclasses import dataclass
from typing import Any

from components.alloy_syntax import Block
from components.loki_gateway_config import USERNAME

BATCH_BYTES = 262144
"""Small batches: a batch is what a killed shipper can lose."""
BATCH_WAIT = "200ms"
MIN_BACKOFF = "500ms"
MAX_BACKOFF = "30s"
TIMEOUT = "10s"
RETRIES = 0
"""Without end: with the default of ten, Loki away for nine minutes loses lines."""


@dataclass(frozen=True)
class Sending:
    """As whom a shipper logs in, and its pace. The defaults are those towards the cluster's own Loki."""

    username: str = USERNAME
    ca_file: str | None = None
    batch_wait: str = BATCH_WAIT
    batch_bytes: int = BATCH_BYTES
    min_backoff: str = MIN_BACKOFF
    max_backoff: str = MAX_BACKOFF
    timeout: str = TIMEOUT


def promtail_client(url: str, password_file: str, cluster: str, sending: Sending = Sending()) -> dict[str, Any]:
    """An entry of Promtail's `clients`."""
    backoff = {"min_period": sending.min_backoff, "max_period": sending.max_backoff, "max_retries": RETRIES}
    return {
        "url": url,
        "basic_auth": {"username": sending.username, "password_file": password_file},
        **({"tls_config": {"ca_file": sending.ca_file}} if sending.ca_file else {}),
        "external_labels": {"cluster": cluster},
        "batchwait": sending.batch_wait,
        "batchsize": sending.batch_bytes,
        "timeout": sending.timeout,
        "backoff_config": backoff,
        "drop_rate_limited_batches": False,
    }


def alloy_write(url: str, password_file: str, cluster: str, sending: Sending = Sending()) -> Block:
    """The component `loki.write.loki` of an Alloy configuration, with the same guarantees as Promtail's client."""
    endpoint = {
        "url": url,
        "batch_wait": sending.batch_wait,
        "batch_size": f"{sending.batch_bytes}B",
        "remote_timeout": sending.timeout,
        "min_backoff_period": sending.min_backoff,
        "max_backoff_period": sending.max_backoff,
        "max_backoff_retries": RETRIES,
        "retry_on_http_429": True,
    }
    login = [Block("basic_auth", attributes={"username": sending.username, "password_file": password_file})]
    login += [Block("tls_config", attributes={"ca_file": sending.ca_file})] if sending.ca_file else []
    return Block(
        "loki.write", "loki", {"external_labels": {"cluster": cluster}}, [Block("endpoint", None, endpoint, login)]
    )
