"""How every shipper of ours pushes to Loki: small batches, and retries without end."""

from typing import Any

from components.alloy_syntax import Block
from components.loki_gateway import USERNAME

BATCH_BYTES = 262144
"""Small batches: a batch is what a killed shipper can lose."""
BATCH_WAIT = "200ms"
MIN_BACKOFF = "500ms"
MAX_BACKOFF = "30s"
RETRIES = 0
"""Without end: with the default of ten, Loki away for nine minutes loses lines."""


def promtail_client(url: str, password_file: str, cluster: str) -> dict[str, Any]:
    """An entry of Promtail's `clients`."""
    return {
        "url": url,
        "basic_auth": {"username": USERNAME, "password_file": password_file},
        "external_labels": {"cluster": cluster},
        "batchwait": BATCH_WAIT,
        "batchsize": BATCH_BYTES,
        "backoff_config": {"min_period": MIN_BACKOFF, "max_period": MAX_BACKOFF, "max_retries": RETRIES},
        "drop_rate_limited_batches": False,
    }


def alloy_write(url: str, password_file: str, cluster: str) -> Block:
    """The component `loki.write.loki` of an Alloy configuration, with the same guarantees as Promtail's client."""
    endpoint = {
        "url": url,
        "batch_wait": BATCH_WAIT,
        "batch_size": f"{BATCH_BYTES // 1024}KiB",
        "min_backoff_period": MIN_BACKOFF,
        "max_backoff_period": MAX_BACKOFF,
        "max_backoff_retries": RETRIES,
        "retry_on_http_429": True,
    }
    password = Block("basic_auth", attributes={"username": USERNAME, "password_file": password_file})
    return Block(
        "loki.write", "loki", {"external_labels": {"cluster": cluster}}, [Block("endpoint", None, endpoint, [password])]
    )
