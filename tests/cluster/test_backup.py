"""What a backup and a restore ask of a real API server: a daemon stops and starts, a pod has its claim meanwhile.

The nodes are fake, so nothing is read: what is read and written is in tests/live/test_backup.py.
"""

import json
from pathlib import Path

from tools import cluster
from tools.backup import __main__ as backup
from tools.backup.claims import mounted
from tools.backup.parts import parts
from tools.manifests import manifests
from tools.reach import Reach
from tools.rules import stack_settings
from tools.synth import ROOT

WANTED = {
    "Namespace": "",
    "PriorityClass": "",
    "ServiceAccount": "loki",
    "ConfigMap": "loki-config",
    "StatefulSet": "loki",
}
"""Kinds in the order in which they are made, and the names that are; all where it is empty."""


def test_a_daemon_stops_while_its_claim_is_mounted_and_starts_again(tmp_path: Path) -> None:
    settings = stack_settings("dev")
    place = f"--namespace={settings.namespaces.main}"
    objects = manifests("dev", ROOT / "Pulumi.dev.yaml", local=True).objects
    [loki] = [part for part in parts(settings) if part.name == "loki"]
    [(pod, claim)] = loki.pods()
    with cluster.fake(tmp_path) as running:
        for kind, name in WANTED.items():
            for item in objects:
                if item["kind"] == kind and name in ("", item["metadata"]["name"]):
                    running.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(item))
        reach = Reach(str(running.kubeconfig))

        def pods() -> dict[str, str]:
            return {one["metadata"]["name"]: one["metadata"]["uid"] for one in reach.get("pods", place)["items"]}

        backup.scale(reach, settings.namespaces.main, loki, 1)
        before = pods()
        volume = reach.get("pvc", claim, place)["spec"]["volumeName"]
        with backup.stopped(reach, settings.namespaces.main, loki):
            assert pods() == {}
            with mounted(reach, settings, claim, loki.user) as found:
                assert set(pods()) == {f"backup-{claim}"}
                assert reach.get("pod", f"backup-{claim}", place)["status"]["phase"] == "Running"
                assert found.reading()[-5:] == ["-cf", "-", "-C", "/claim", "."]
        after = pods()
        assert after[pod] != before[pod]
        assert reach.get("pvc", claim, place)["spec"]["volumeName"] == volume
