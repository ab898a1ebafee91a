"""Where Prometheus sends its series, in the operator's words."""

from typing import Any

from settings import Settings
from settings.metrics import RemoteWrite

SECRET = "prometheus-remote-write"  # noqa: S105 (a Secret's name)
ALIVE = "prometheus_build_info"
"""By this series a hub knows that a cluster sends (rules/prometheus/hub.yaml)."""


def specs(settings: Settings) -> list[dict[str, Any]]:
    """`remoteWrite` of a Prometheus object. Names of users and passwords are keys of the Secret."""
    return [_spec(target) for target in settings.prometheus.remote_write]


def _spec(target: RemoteWrite) -> dict[str, Any]:
    queue = target.queue
    spec: dict[str, Any] = {
        "url": target.url,
        "name": target.name,
        "remoteTimeout": target.timeout,
        "queueConfig": {
            "capacity": queue.capacity,
            "maxShards": queue.max_shards,
            "maxSamplesPerSend": queue.max_samples_per_send,
            "batchSendDeadline": queue.batch_send_deadline,
            "minBackoff": queue.min_backoff,
            "maxBackoff": queue.max_backoff,
            # A hub that is asked for too much says 429: later, not never.
            "retryOnRateLimit": True,
        },
    }
    if target.keep:
        expression = f"{ALIVE}|{target.keep}"
        spec["writeRelabelConfigs"] = [{"sourceLabels": ["__name__"], "regex": expression, "action": "keep"}]
    if target.ca_secret:
        spec["tlsConfig"] = {"ca": {"secret": {"name": SECRET, "key": target.ca_secret}}}
    if target.password_secret:
        spec["basicAuth"] = {
            "username": {"name": SECRET, "key": username_key(target)},
            "password": {"name": SECRET, "key": target.password_secret},
        }
    if target.token_secret:
        spec["authorization"] = {"type": "Bearer", "credentials": {"name": SECRET, "key": target.token_secret}}
    return spec


def username_key(target: RemoteWrite) -> str:
    """Key of the Secret that holds the user of a target: the operator takes it from a Secret only."""
    return f"{target.name}.username"


def usernames(settings: Settings) -> dict[str, str]:
    """What the Secret holds beside the passwords and tokens."""
    return {username_key(target): target.username for target in settings.prometheus.remote_write if target.username}
