"""Pods of the exporters of applications, and the query exporter's configuration. Everything here is pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from components import images, pods
from settings import Settings
from settings.exporters import MOSQUITTO, POSTGRES, SQL, Credentials, Database, Exporter

NOBODY = 65534
PORTS = {POSTGRES: 9187, MOSQUITTO: 9234, SQL: 9399}
LOGIN_FOLDER = "/etc/exporter/login"
CONFIG_FOLDER = "/etc/exporter/config"
QUERY = """\
SELECT cars.id::text AS car_id, extract(epoch FROM newest.date AT TIME ZONE 'UTC') AS newest
FROM cars CROSS JOIN LATERAL (
  SELECT date FROM positions
  WHERE car_id = cars.id AND ideal_battery_range_km IS NOT NULL
  ORDER BY date DESC LIMIT 1
) AS newest
"""
"""TeslaMate keeps dates without a zone, in UTC. One look for each car into TeslaMate's index over car and date, which
has only positions with a range: those that are streamed between them have none. To group all positions would read
millions of rows each minute."""


@dataclass(frozen=True)
class Instance:
    """One exporter to run: which, its name among its kind, what it reads, and its container's own parts."""

    exporter: str
    name: str
    address: str
    settings: Exporter
    env: list[dict[str, Any]]
    args: list[str] = field(default_factory=list)
    login: Credentials | None = None
    """Mounted as files; None where the program takes it by environment only."""
    config: dict[str, Any] | None = None
    health: str = "/"
    slow_start: bool = False
    """It listens only after its first answer from what it reads, which may take as long as that is down."""

    @property
    def object_name(self) -> str:
        """Name of its objects."""
        return f"{self.exporter}-{self.name}"


def instances(settings: Settings) -> Iterator[Instance]:
    """Every exporter that the stack deploys."""
    chosen = settings.exporters
    for name, server in chosen.postgresql.servers.items():
        env = [
            _plain("DATA_SOURCE_URI", _place(server)),
            _plain("DATA_SOURCE_USER_FILE", f"{LOGIN_FOLDER}/username"),
            _plain("DATA_SOURCE_PASS_FILE", f"{LOGIN_FOLDER}/password"),
        ]
        yield Instance(POSTGRES, name, server.address, chosen.postgresql, env, login=server.credentials)
    for name, broker in chosen.mosquitto.brokers.items():
        env = [
            _plain("BROKER_ENDPOINT", f"tcp://{broker.address}"),
            *_login(broker.credentials, "MQTT_USER", "MQTT_PASS"),
        ]
        yield Instance(MOSQUITTO, name, broker.address, chosen.mosquitto, env, slow_start=True)
    if database := chosen.teslamate.server:
        yield Instance(
            SQL,
            "teslamate",
            database.address,
            chosen.teslamate,
            _login(database.credentials, "PGUSER", "PGPASSWORD"),
            args=[f"-config.file={CONFIG_FOLDER}/sql_exporter.yml"],
            config=query_config(database),
            health="/healthz",
        )


def query_config(database: Database) -> dict[str, Any]:
    """Configuration of sql_exporter. User and password are not in it: the driver takes them from the environment."""
    metric = {
        "metric_name": "teslamate_last_position_timestamp_seconds",
        "type": "gauge",
        "help": "Time of the newest position of each car.",
        "key_labels": ["car_id"],
        "values": ["newest"],
        "query": QUERY,
    }
    return {
        "global": {"scrape_timeout_offset": "500ms", "min_interval": "60s", "max_connections": 1},
        "target": {
            "data_source_name": f"postgres://{_place(database)}",
            "collectors": ["teslamate"],
        },
        "collectors": [{"collector_name": "teslamate", "metrics": [metric]}],
    }


def pod_spec(instance: Instance, settings: Settings) -> dict[str, Any]:
    """Pod of one exporter, under the `restricted` level."""
    mounts, volumes = [], []
    if instance.login:
        keys = {instance.login.username_key: "username", instance.login.password_key: "password"}
        items = [{"key": key, "path": path} for key, path in keys.items()]
        volumes.append({"name": "login", "secret": {"secretName": instance.login.name, "items": items}})
        mounts.append({"name": "login", "mountPath": LOGIN_FOLDER, "readOnly": True})
    if instance.config:
        volumes.append({"name": "config", "configMap": {"name": f"{instance.object_name}-config"}})
        mounts.append({"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True})
    container: dict[str, Any] = {
        "name": instance.exporter,
        "image": images.reference(instance.exporter, settings),
        "env": instance.env,
        "ports": [{"name": "metrics", "containerPort": PORTS[instance.exporter]}],
        "resources": instance.settings.resources.manifest(),
        "securityContext": pods.RESTRICTED_CONTAINER,
        "readinessProbe": pods.http_probe(instance.health, "metrics", period=5),
        "livenessProbe": pods.http_probe(instance.health, "metrics"),
        "volumeMounts": mounts,
    }
    if instance.args:
        container["args"] = instance.args
    if instance.slow_start:
        # Two days of a broker that is down must not look like an exporter that crashes.
        container["startupProbe"] = pods.http_probe(instance.health, "metrics", period=10, failures=17280)
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": pods.PRIORITY_CLASS,
        "securityContext": pods.restricted_pod(NOBODY),
        "containers": [container],
        "volumes": volumes,
    }


def _place(database: Database) -> str:
    """What follows the scheme in the database's URL. PostgreSQL allows any character in a name, a URL does not."""
    return f"{database.address}/{quote(database.database, safe='')}?sslmode={database.tls}"


def _plain(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value}


def _login(credentials: Credentials | None, user: str, password: str) -> list[dict[str, Any]]:
    if credentials is None:
        return []
    keys = {user: credentials.username_key, password: credentials.password_key}
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": credentials.name, "key": key}}}
        for name, key in keys.items()
    ]
