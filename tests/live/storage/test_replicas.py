"""Loki in more than one process on one object store: replicas of the whole, and each part apart."""

import signal
from collections.abc import Iterator

import pytest

from tests.live.storage import lokis
from tests.live.storage.lokis import Lokis
from tools.faults.daemons import Daemon, until
from tools.faults.lines import push

COUNT = 1000
REPLICAS = ["all", "all", "all"]
PARTS = [
    "distributor",
    *["ingester"] * 3,
    "querier",
    "query-frontend",
    "query-scheduler",
    "index-gateway",
    "compactor",
    *["ruler"] * 2,
]


@pytest.fixture(scope="module", params=["replicas", "distributed"])
def running(request: pytest.FixtureRequest, minio: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lokis]:
    """Three replicas of a singleBinary, or every part of a distributed Loki."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "replicas":
        settings, targets, network = lokis.with_loki(replicas=3, tenant="replicas"), REPLICAS, 11
    else:
        settings, targets, network = lokis.with_loki(mode="distributed", tenant="parts"), PARTS, 12
    with lokis.running(folder, settings, minio, targets, network) as found:
        yield found


def arrive(running: Lokis, app: str) -> None:
    """Push numbered lines and read each of them once."""
    tenant, wanted = running.settings.loki.tenant, lokis.numbered(COUNT)
    push(running.one("distributor"), tenant, {"app": app}, wanted)
    reader = running.one("query-frontend")
    until("every line", lambda: len(lokis.lines(reader, tenant, app)) >= COUNT)
    assert sorted(lokis.lines(reader, tenant, app)) == sorted(text for _, text in wanted)


def test_each_rule_group_is_evaluated_by_exactly_one_ruler(running: Lokis) -> None:
    rulers = running.processes.get("ruler") or running.processes["all"]
    wanted = sorted(lokis.groups(running.settings))

    def shares() -> list[set[str]]:
        return [lokis.evaluated(ruler) for ruler in rulers]

    until("every group at one ruler", lambda: sorted(name for share in shares() for name in share) == wanted)
    answer = rulers[0].get("/prometheus/api/v1/rules", running.settings.loki.tenant)["data"]["groups"]
    assert sorted(group["name"] for group in answer) == wanted, "every ruler answers for all"


def test_there_is_one_compactor(running: Lokis) -> None:
    def busy() -> int:
        return sum("loki_boltdb_shipper_compactor_running 1" in one.text("/metrics") for one in running.every)

    until("one running compactor", lambda: busy() == 1)


def test_lines_come_in_and_out_once(running: Lokis) -> None:
    arrive(running, "lines")


def test_nothing_is_lost_with_an_ingester(running: Lokis) -> None:
    """Each line lies at three ingesters, so that one may be killed, and lines go on coming."""
    arrive(running, "before")
    last = (running.processes.get("ingester") or running.processes["all"])[-1]
    last.end(signal.SIGKILL)
    try:
        tenant, reader = running.settings.loki.tenant, running.one("query-frontend")
        assert len(lokis.lines(reader, tenant, "before")) == COUNT
        arrive(running, "meanwhile")
    finally:
        last.start().ready()
    arrive(running, "after")


def test_lines_lie_in_the_store(running: Lokis, minio: Daemon) -> None:
    """A flush writes chunks into the bucket, and lines are read from there too."""
    arrive(running, "stored")
    ingesters = running.processes.get("ingester") or running.processes["all"]
    before = lokis.chunks(minio, running.settings.loki.tenant)
    for one in ingesters:
        one.end(signal.SIGTERM)
    assert lokis.chunks(minio, running.settings.loki.tenant) > before
    for one in ingesters:
        one.start()
    for one in ingesters:
        one.ready()
    tenant, reader = running.settings.loki.tenant, running.one("query-frontend")
    until("lines from the store", lambda: len(lokis.lines(reader, tenant, "stored")) == COUNT)
