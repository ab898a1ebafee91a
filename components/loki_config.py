"""Loki's configuration. Field names and defaults: Loki 3.7, `loki -verify-config` accepts every result."""

from typing import Any

from components import addresses
from settings import Settings
from settings.base import amount, seconds
from settings.logs import GCS, S3, Azure, LokiSettings, Storage

GRPC_PORT = 9095
GOSSIP_PORT = 7946
RULES_FOLDER = "/etc/loki/rules"
GRACE_SECONDS = 300
"""Time to flush and hand over at the end of a pod."""


def config(settings: Settings) -> dict[str, Any]:
    """Content of Loki's configuration file.

    `${POD_IP}` and credentials are filled in by Loki from its environment (`-config.expand-env=true`).
    """
    loki = settings.loki
    single = loki.replicas == 1
    kvstore = {"store": "inmemory" if single else "memberlist"}
    object_store = loki.storage.type
    result: dict[str, Any] = {
        "auth_enabled": True,
        "server": {
            "http_listen_port": addresses.LOKI_PORT,
            "grpc_listen_port": GRPC_PORT,
            "grpc_server_max_recv_msg_size": 16 * 2**20,
            "grpc_server_max_send_msg_size": 16 * 2**20,
        },
        "common": {
            "path_prefix": "/loki",
            "replication_factor": loki.replication_factor,
            "instance_addr": "127.0.0.1" if single else "${POD_IP}",
            "ring": {"kvstore": kvstore},
            "storage": storage(loki.storage),
        },
        "schema_config": {
            "configs": [
                {
                    "from": "2024-04-01",
                    "store": "tsdb",
                    "object_store": object_store,
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "compactor": {
            "working_directory": "/loki/compactor",
            "retention_enabled": True,
            "delete_request_store": object_store,
            "retention_delete_delay": "2h",
        },
        "ingester": {
            "wal": {
                "enabled": True,
                "dir": "/loki/wal",
                "flush_on_shutdown": True,
                "replay_memory_ceiling": f"{int(amount(loki.resources.memory_limit) * 0.75 / 2**20)}MB",
            }
        },
        "limits_config": limits(loki),
        "ruler": ruler(settings, kvstore),
        "analytics": {"reporting_enabled": False},
    }
    if not single:
        gossip = f"{addresses.LOKI}-headless.{settings.namespaces.main}.svc.cluster.local:{GOSSIP_PORT}"
        result["memberlist"] = {"join_members": [gossip]}
    return result


def storage(choice: Storage) -> dict[str, Any]:
    """The `common.storage` block of an object store."""
    match choice:
        case S3():
            keys = {"access_key_id": "${S3_ACCESS_KEY_ID}", "secret_access_key": "${S3_SECRET_ACCESS_KEY}"}
            return {
                "s3": {
                    "bucketnames": choice.bucket,
                    "region": choice.region,
                    "s3forcepathstyle": choice.endpoint is not None,
                }
                | ({"endpoint": choice.endpoint} if choice.endpoint else {})
                | (keys if choice.access_key_id_secret else {})
            }
        case GCS():
            return {"gcs": {"bucket_name": choice.bucket}}
        case Azure():
            identity = {"use_federated_token": True}
            return {
                "azure": {"account_name": choice.account, "container_name": choice.container}
                | ({"account_key": "${AZURE_ACCOUNT_KEY}"} if choice.account_key_secret else identity)
            }
        case _:
            return {"filesystem": {"chunks_directory": "/loki/chunks", "rules_directory": "/loki/rules"}}


def limits(loki: LokiSettings) -> dict[str, Any]:
    """The `limits_config` block: what one tenant may do."""
    chosen = loki.limits
    return {
        "retention_period": f"{seconds(loki.retention) // 3600}h",
        "ingestion_rate_mb": chosen.ingestion_rate_mb,
        "ingestion_burst_size_mb": chosen.ingestion_burst_size_mb,
        "per_stream_rate_limit": f"{int(amount(chosen.per_stream_rate_limit))}B",
        "per_stream_rate_limit_burst": f"{int(amount(chosen.per_stream_rate_limit_burst))}B",
        "max_global_streams_per_user": chosen.max_streams,
        "max_line_size": f"{int(amount(chosen.max_line_size))}B",
        # A long line is cut, not dropped: half a stack trace is better than none.
        "max_line_size_truncate": True,
        "max_query_series": chosen.max_query_series,
        "max_label_names_per_series": 15,
        "reject_old_samples_max_age": "7d",
        "allow_structured_metadata": True,
        # Off: it would add the label service_name to every stream beside our own `app`.
        "discover_service_name": [],
        "discover_log_levels": True,
        "volume_enabled": True,
    }


def ruler(settings: Settings, kvstore: dict[str, str]) -> dict[str, Any]:
    """The `ruler` block: rules from mounted ConfigMaps, alerts to every Alertmanager, recordings to Prometheus."""
    return {
        "storage": {"type": "local", "local": {"directory": RULES_FOLDER}},
        "rule_path": "/loki/rules-temp",
        "wal": {"dir": "/loki/ruler-wal"},
        "alertmanager_url": ",".join(addresses.alertmanager_replicas(settings)),
        "enable_alertmanager_v2": True,
        "enable_api": True,
        "evaluation_interval": settings.loki.evaluation_interval,
        # With the default of 1m a dead ruler would keep its Watchdog alive for four minutes.
        "resend_delay": "15s",
        "external_labels": {"cluster": settings.cluster.name},
        "enable_sharding": settings.loki.replicas > 1,
        "ring": {"kvstore": kvstore},
        "remote_write": {
            "enabled": True,
            "clients": {
                f"prometheus-{index}": {"url": f"{url}/api/v1/write"}
                for index, url in enumerate(addresses.prometheus_replicas(settings))
            },
        },
    }
