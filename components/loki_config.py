"""Loki's configuration. Field names and defaults: Loki 3.7, `loki -verify-config` accepts every result."""

from typing import Any

from components import addresses, loki_storage
from components.log_agent_stages import selector
from settings import Settings
from settings.base import amount, seconds
from settings.logs import LokiSettings, MinIO

GOSSIP_PORT = 7946
RULES_FOLDER = "/etc/loki/rules"
GRACE_SECONDS = 300
"""Time to flush and hand over at the end of a pod."""
SCHEMAS = (("2024-04-01", "v13"),)
"""First day and schema of each period. A new one is appended with a day to come; none is ever changed, since chunks are
read by the entry that wrote them."""


def schemas(object_store: str) -> list[dict[str, Any]]:
    """Periods of the schema, in the words of `schema_config.configs`."""
    return [
        {
            "from": first_day,
            "store": "tsdb",
            "object_store": object_store,
            "schema": schema,
            "index": {"prefix": "index_", "period": "24h"},
        }
        for first_day, schema in SCHEMAS
    ]


def config(settings: Settings) -> dict[str, Any]:
    """Content of Loki's configuration file, the same for every part of a distributed one.

    `${POD_IP}` and credentials are filled in by Loki from its environment (`-config.expand-env=true`).
    """
    loki = settings.loki
    single = loki.replicas == 1 and not loki.distributed
    kvstore = {"store": "inmemory" if single else "memberlist"}
    object_store = "s3" if isinstance(loki.storage, MinIO) else loki.storage.type
    data = folder(loki)
    result: dict[str, Any] = {
        "auth_enabled": True,
        "server": {
            "http_listen_port": addresses.LOKI_PORT,
            "grpc_listen_port": addresses.LOKI_GRPC_PORT,
            "grpc_server_max_recv_msg_size": 16 * 2**20,
            "grpc_server_max_send_msg_size": 16 * 2**20,
        },
        "common": {
            "path_prefix": data,
            "replication_factor": loki.replication_factor,
            "instance_addr": "127.0.0.1" if single else "${POD_IP}",
            "ring": {"kvstore": kvstore},
            "storage": loki_storage.block(settings),
        },
        "schema_config": {"configs": schemas(object_store)},
        "compactor": {
            "working_directory": f"{data}/compactor",
            "retention_enabled": True,
            "delete_request_store": object_store,
            "retention_delete_delay": "2h",
        },
        "ingester": {
            # Not lz4 nor zstd: Loki's readers of both leak memory (grafana/loki issues 11247 and 15594, both open).
            "chunk_encoding": loki.compression,
            "wal": {
                "enabled": True,
                "dir": f"{data}/wal",
                "flush_on_shutdown": True,
                "replay_memory_ceiling": f"{int(amount(loki.resources.memory_limit) * 0.75 / 2**20)}MB",
            },
        },
        "limits_config": limits(loki),
        "ruler": ruler(settings, kvstore),
        "analytics": {"reporting_enabled": False},
    }
    if settings.hub.log_senders:
        # Each sender is a tenant; for one view of all clusters a query names several.
        result["querier"] = {"multi_tenant_queries_enabled": True}
    if not single:
        peers = f"{addresses.LOKI}-{'memberlist' if loki.distributed else 'headless'}"
        result["memberlist"] = {"join_members": [f"{peers}.{settings.namespaces.main}.svc.cluster.local:{GOSSIP_PORT}"]}
    if loki.distributed:
        result["common"]["compactor_grpc_address"] = _grpc("compactor", settings)
        result |= _query_path(settings)
    return result


def folder(loki: LokiSettings) -> str:
    """Where Loki's data lies: the official chart mounts it elsewhere than we do."""
    return "/var/loki" if loki.distributed else "/loki"


def _grpc(part: str, settings: Settings) -> str:
    return f"{addresses.LOKI}-{part}.{settings.namespaces.main}.svc.cluster.local:{addresses.LOKI_GRPC_PORT}"


def _query_path(settings: Settings) -> dict[str, Any]:
    """How the parts that answer queries find each other. Headless Services: every pod of a part has to be known."""
    scheduler = _grpc("query-scheduler-headless", settings)
    index = {"server_address": f"dns+{_grpc('index-gateway-headless', settings)}"}
    return {
        "frontend": {
            "scheduler_address": scheduler,
            "tail_proxy_url": addresses.loki_part("querier", settings),
        },
        "frontend_worker": {"scheduler_address": scheduler},
        "index_gateway": {"mode": "simple"},
        "storage_config": {"tsdb_shipper": {"index_gateway_client": index}},
    }


def limits(loki: LokiSettings) -> dict[str, Any]:
    """The `limits_config` block: what one tenant may do."""
    chosen = loki.limits
    streams = [
        {"selector": selector(kept), "priority": priority, "period": f"{seconds(kept.period) // 3600}h"}
        # Of all that fit a stream the highest priority counts.
        for priority, kept in enumerate(reversed(loki.retention_streams), 1)
    ]
    return {
        "retention_period": f"{seconds(loki.retention) // 3600}h",
        **({"retention_stream": streams} if streams else {}),
        "ingestion_rate_mb": chosen.ingestion_rate_mb,
        "ingestion_burst_size_mb": chosen.ingestion_burst_size_mb,
        "per_stream_rate_limit": f"{int(amount(chosen.per_stream_rate_limit))}B",
        "per_stream_rate_limit_burst": f"{int(amount(chosen.per_stream_rate_limit_burst))}B",
        "max_global_streams_per_user": chosen.max_streams,
        "max_line_size": f"{int(amount(chosen.max_line_size))}B",
        # A long line is cut, not dropped: half a stack trace is better than none.
        "max_line_size_truncate": True,
        # One search uses all processors also where it reads little: the default makes shards of 600 MB.
        "tsdb_max_bytes_per_shard": "128MB",
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
        "rule_path": f"{folder(settings.loki)}/rules-temp",
        "wal": {"dir": f"{folder(settings.loki)}/ruler-wal"},
        "alertmanager_url": ",".join(addresses.alertmanager_replicas(settings)),
        "enable_alertmanager_v2": True,
        "enable_api": True,
        "evaluation_interval": settings.loki.evaluation_interval,
        # With the default of 1m a dead ruler would keep its Watchdog alive for four minutes.
        "resend_delay": "15s",
        "external_labels": {"cluster": settings.cluster.name},
        "enable_sharding": settings.loki.replication_factor > 1,
        # With the defaults of 1m each the rules of a dead replica rest for two minutes, and with them the LogsWatchdog:
        # hardly less than its watcher waits.
        "ring": {"kvstore": kvstore, "heartbeat_period": "5s", "heartbeat_timeout": "20s"},
        "poll_interval": "15s",
        "remote_write": {
            "enabled": True,
            "clients": {
                f"prometheus-{index}": {"url": f"{url}/api/v1/write"}
                for index, url in enumerate(addresses.prometheus_replicas(settings))
            },
        },
    }
