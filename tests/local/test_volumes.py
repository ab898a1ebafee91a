"""`make backup`, the loss of every volume, and `make restore`, on a real node: what was there is there again."""

import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.cluster.traces import wait_for
from tests.local.test_stack import MINUTES, apply, lines
from tools.access import Access
from tools.backup import __main__ as backup
from tools.backup import archive, daemons
from tools.backup.claims import mounted
from tools.backup.parts import parts
from tools.fire.cause import pod, shell
from tools.reach import Reach
from tools.rules import stack_settings

SETTINGS = stack_settings("dev")
NAMESPACE, COUNT = "kept", 200
COMMENT = "before the loss"


@pytest.fixture(autouse=True)
def nothing_stays(stack: Access) -> Iterator[None]:
    """The stack is that of other tests too: the pod, and the silence of a real alert, end with this one."""
    yield
    stack.running.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    alertmanager = stack.urls["alertmanager"]
    for item in daemons.silences(alertmanager):
        if item["comment"] == COMMENT:
            address = f"{alertmanager}/api/v2/silence/{item['id']}"
            urllib.request.urlopen(urllib.request.Request(address, method="DELETE"), timeout=30).close()


def series(stack: Access, at: float) -> dict[str, Any]:
    """Value of each series of `up` at a time."""
    found = stack.read("prometheus", f"/api/v1/query?query={quote('up')}&time={at:.3f}")["data"]["result"]
    return {json.dumps(item["metric"], sort_keys=True): item["value"] for item in found}


def settled(stack: Access) -> bool:
    """Whether each target has its sample and none is left of others: of one that went, its end is written later."""
    targets = stack.read("prometheus", "/api/v1/targets?state=active")["data"]["activeTargets"]
    measured = [json.loads(metric) for metric in series(stack, time.time())]
    return {item["instance"] for item in measured} == {target["labels"]["instance"] for target in targets}


def silences(stack: Access) -> list[str]:
    found = stack.read("alertmanager", "/api/v2/silences")
    return [item["comment"] for item in found if item["status"]["state"] == "active"]


def silence(stack: Access, comment: str) -> None:
    now = datetime.now(UTC)
    body = {
        "matchers": [{"name": "alertname", "value": "PodPending", "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=2)).isoformat(),
        "createdBy": "ada",
        "comment": comment,
    }
    address = f"{stack.urls['alertmanager']}/api/v2/silences"
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(address, json.dumps(body).encode(), headers), timeout=30).close()


def lose(cluster: Reach) -> None:
    """Empty the claims, as if the volumes were new ones."""
    for part in parts(SETTINGS):
        with backup.stopped(cluster, SETTINGS.namespaces.main, part):
            for _, claim in part.pods():
                with mounted(cluster, SETTINGS, claim, part.user) as volume:
                    archive.run(volume.emptying(), "emptying")


def test_what_a_backup_holds_comes_back(stack: Access, tmp_path: Path) -> None:
    cluster, folder = Reach(str(stack.running.kubeconfig)), tmp_path / "backup"
    kept = partial(lines, stack, NAMESPACE, began=time.time())
    echo = f"sleep 3; for n in $(seq {COUNT}); do echo line $n; done; sleep infinity"
    apply(stack, NAMESPACE, pod(shell(echo), "writer"))
    wait_for("every line in Loki", lambda: len(kept()), COUNT.__eq__, 2 * MINUTES)
    told = sorted(text for _, text in kept())
    silence(stack, COMMENT)
    wait_for("samples of all targets and of no other", partial(settled, stack), bool, 5 * MINUTES)
    at = time.time() - 5
    measured = series(stack, at)
    assert measured

    backup.save(cluster, SETTINGS, folder, with_bucket=True)
    sizes = {file.name: file.stat().st_size for file in folder.glob("*.gz")}
    assert len(sizes) == len(parts(SETTINGS))
    lose(cluster)
    stack.wait()
    wait_for("a Loki without lines", kept, [].__eq__, 2 * MINUTES)
    assert series(stack, at) == {}
    assert silences(stack) == []

    backup.restore(cluster, SETTINGS, folder, with_bucket=True)
    stack.wait()
    wait_for("every line again", lambda: len(kept()), COUNT.__eq__, 2 * MINUTES)
    assert sorted(text for _, text in kept()) == told
    assert series(stack, at) == measured
    assert silences(stack) == [COMMENT]
    print(f"{len(sizes)} claims, {sum(sizes.values()) / 2**20:.1f} MiB; {COUNT} lines, {len(measured)} series, equal")
