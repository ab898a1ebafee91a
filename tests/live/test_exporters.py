"""Exporters on a real PostgreSQL: postgres_exporter as its pod runs it, and sql_exporter's query."""

import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components import exporter_pods
from settings.exporters import POSTGRES, ExportersSettings
from tests.daemon import daemon
from tests.live.probes import daemons
from tests.rules.metrics import catalogue
from tests.rules.promql import selectors
from tests.rules.stacks import sources
from tools.binaries import find
from tools.metric_names import names
from tools.ports import free_ports
from tools.rules import stack_settings

LOCAL = "127.0.0.1"
PASSWORD = "of-the-test"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
"""PostgreSQL refuses to run as root."""


def program(name: str) -> str | None:
    """A program of PostgreSQL: on PATH, or where Debian puts it."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(debian[-1]) if debian else None)


@dataclass
class Database:
    """A running PostgreSQL."""

    port: int
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it at once, whoever is connected."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)


@contextmanager
def database() -> Iterator[Database]:
    """PostgreSQL with a user that may only monitor."""
    initdb, postgres = program("initdb"), program("postgres")
    assert initdb and postgres
    user = NOBODY if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        if user:
            os.chown(folder, 65534, 65534)
        data = f"{folder}/data"
        subprocess.run([*user, initdb, "-D", data, "-U", "postgres", "-A", "trust"], check=True, capture_output=True)
        script = f"CREATE USER exporter PASSWORD '{PASSWORD}'; GRANT pg_monitor TO exporter;\n"
        single = [*user, postgres, "--single", "-D", data, "postgres"]
        subprocess.run(single, input=script.encode(), check=True, capture_output=True)
        [port] = free_ports(1)
        options = ["-D", data, "-p", str(port), "-k", folder, "-c", f"listen_addresses={LOCAL}"]
        with Path(f"{folder}/log").open("wb") as log:
            running = subprocess.Popen([*user, postgres, *options], stdout=log, stderr=log)
        try:
            yield Database(port, running)
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGINT)
                running.wait(timeout=60)


@contextmanager
def exporter(folder: Path, port: int) -> Iterator[Any]:
    """The exporter with the environment of its pod; gives a function that reads its page."""
    server = {"address": f"{LOCAL}:{port}", "tls": "disable", "credentials": {"name": "login"}}
    chosen = ExportersSettings.model_validate({"postgresql": {"mode": "deploy", "servers": {"test": server}}})
    settings = stack_settings("dev").model_copy(update={"exporters": chosen})
    [instance] = exporter_pods.instances(settings)
    (folder / "username").write_text("exporter\n")
    (folder / "password").write_text(f"{PASSWORD}\n")
    env = {one["name"]: one["value"].replace(exporter_pods.LOGIN_FOLDER, str(folder)) for one in instance.env}
    listen = f"{LOCAL}:{free_ports(1)[0]}"
    command = [find("postgres_exporter"), f"--web.listen-address={listen}"]
    with daemon(command, folder / "exporter.log", env={**os.environ, **env}) as alive:
        url = f"http://{listen}"
        assert daemons.wait("exporter", lambda: daemons.answers(f"{url}{instance.health}"), alive)

        def page() -> str:
            alive()
            with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
                return str(answer.read().decode())

        yield page


def wanted() -> set[str]:
    """Metrics of PostgreSQL that a rule names."""
    return {
        one.metric
        for file in sources()
        for group in file.groups
        for rule in group["rules"]
        for one in selectors(rule["expr"])
        if one.metric.startswith("pg_")
    }


needs_postgresql = pytest.mark.skipif(
    program("postgres") is None or program("psql") is None, reason="PostgreSQL is not installed (Debian: postgresql)"
)
TESLAMATE = """
CREATE TABLE cars (id smallint PRIMARY KEY);
CREATE TABLE positions (id serial PRIMARY KEY, car_id smallint, date timestamp, ideal_battery_range_km numeric);
INSERT INTO cars VALUES (1), (2), (3);
INSERT INTO positions (car_id, date, ideal_battery_range_km)
  SELECT 1 + n % 2, timestamp '2026-01-01' + n * interval '1 minute', CASE WHEN n % 10 < 2 THEN 300 END
  FROM generate_series(0, 99999) AS n;
CREATE INDEX ON positions USING brin (date);
CREATE INDEX ON positions (car_id, date) WHERE ideal_battery_range_km IS NOT NULL;
GRANT SELECT ON cars, positions TO exporter;
ANALYZE;
SET SESSION AUTHORIZATION exporter;
"""
"""What the query sees of TeslaMate's database: two cars that drive, and one that never did."""


@needs_postgresql
def test_the_newest_position_of_each_car_is_one_look_into_an_index() -> None:
    with database() as running:
        sql = partial(ask, running.port)
        assert daemons.wait("PostgreSQL", lambda: sql("SELECT 1", check=False) == "1", lambda: None)
        lines = sql(f"{TESLAMATE} {exporter_pods.QUERY}; EXPLAIN {exporter_pods.QUERY}").splitlines()
    # The last two positions with a range: 99990 and 99991 minutes after the begin of 2026, in UTC.
    begin = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    found = {
        car: float(newest) for car, newest in (line.split("|") for line in lines if line[:2] in {"1|", "2|", "3|"})
    }
    assert found == {"1": begin + 60 * 99990, "2": begin + 60 * 99991}
    plan = "\n".join(lines)
    assert "Index" in plan
    assert "Seq Scan on positions" not in plan


def ask(port: int, sql: str, *, check: bool = True) -> str:
    """What psql prints, as PostgreSQL's own user."""
    command = [program("psql"), f"--host={LOCAL}", f"--port={port}", "--username=postgres", "--no-psqlrc", "--quiet"]
    command += ["--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
    done = subprocess.run([str(part) for part in command], input=sql, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_postgresql
def test_postgres_exporter(tmp_path: Path) -> None:
    with database() as running, exporter(tmp_path, running.port) as page:
        assert daemons.wait("a page with the database up", lambda: "\npg_up 1\n" in page(), lambda: None)
        found = names(page())
        assert wanted() <= set(found), "a metric that a rule names is not there"
        known = catalogue()
        strange = {
            name: sorted(labels - known[name].labels)
            for name, labels in found.items()
            if name in wanted() and not labels <= known[name].labels
        }
        assert strange == {}
        assert all(POSTGRES in known[name].exporters for name in wanted())
        running.stop()
        assert daemons.wait("a page with the database down", lambda: "\npg_up 0\n" in page(), lambda: None)
        assert "pg_stat_activity_count" not in page()
