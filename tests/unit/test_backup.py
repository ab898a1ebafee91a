"""What a backup asks of the cluster, in which order, and what it refuses. Its data: tests/live/test_backup.py."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from settings import Settings
from tools import volumes
from tools.backup import __main__ as backup
from tools.backup import archive, bucket, claims, daemons
from tools.backup.parts import parts
from tools.console import UserError
from tools.reach import Part, Reach
from tools.rules import stack_settings

DEV, PROD = stack_settings("dev"), stack_settings("prod")


@dataclass(frozen=True)
class Recorded(Reach):
    """A cluster that writes down what it is asked."""

    asked: list[str] = field(default_factory=list)

    def kubectl(self, *arguments: str) -> str:
        self.asked.append(" ".join(arguments))
        if arguments[0] == "create":
            item = json.loads(Path(arguments[1].partition("=")[2]).read_text())
            self.asked[-1] = f"create {item['metadata']['name']} on {item['spec'].get('nodeName', 'any node')}"
        return json.dumps({"spec": {"nodeName": "node-1"}}) if arguments[0] == "get" else ""

    @contextmanager
    def forward(self, name: str, namespace: str, target: str, port: int, headers: Mapping[str, str]) -> Iterator[Part]:
        self.asked.append(f"forward {target}:{port}")
        yield Part(name, f"http://{name}", headers)

    def short(self) -> list[str]:
        """What was asked, without the options."""
        return [" ".join(word for word in line.split() if not word.startswith("--")) for line in self.asked]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    found = Recorded()

    def note(name: str) -> list[Any]:
        found.asked.append(name)
        return []

    for name in ("flush_loki", "silences", "add_silences"):
        monkeypatch.setattr(daemons, name, lambda *_, name=name: note(name))
    monkeypatch.setattr(bucket, "rclone", lambda *words: found.asked.append(" ".join(words)))

    def save(volume: archive.Volume, file: Path) -> str:
        found.asked.append(f"save {file.name} {volume.within[-3]}")
        file.write_text(file.name)
        return archive.digest(file)

    monkeypatch.setattr(archive, "save", save)
    monkeypatch.setattr(archive, "restore", lambda _volume, file, _without: found.asked.append(f"restore {file.name}"))
    return found


def test_parts_have_the_names_that_the_cluster_gives_them() -> None:
    prometheus, alertmanager, loki = parts(PROD)
    assert prometheus.pods()[1] == (
        "prometheus-kube-prometheus-stack-prometheus-1",
        "prometheus-kube-prometheus-stack-prometheus-db-prometheus-kube-prometheus-stack-prometheus-1",
    )
    assert alertmanager.pods()[2] == ("alertmanager-alertmanager-2", "data-alertmanager-alertmanager-2")
    assert loki.pods()[0] == ("loki-0", "data-loki-0")
    assert [part.replicas for part in parts(PROD)] == [2, 3, 3]


def test_a_backup_flushes_asks_for_silences_and_reads_beside_the_daemon(cluster: Recorded, tmp_path: Path) -> None:
    backup.save(cluster, DEV, tmp_path / "b", with_bucket=True)
    asked = cluster.short()
    assert asked.index("flush_loki") < asked.index("save data-loki-0.tar.gz backup-data-loki-0")
    assert asked.index("silences") < asked.index(
        "save data-alertmanager-alertmanager-0.tar.gz backup-data-alertmanager-alertmanager-0"
    )
    assert "create backup-data-loki-0 on node-1" in asked
    assert not [line for line in asked if line.startswith(("patch", "scale"))], "everything goes on running"
    listed = json.loads((tmp_path / "b" / "backup.json").read_text())
    assert listed["cluster"] == "dev"
    assert len(listed["files"]) == 3
    made = [line for line in asked if line.startswith("create")]
    deleted = [line for line in cluster.asked if line.startswith("delete") and "--wait=false" in line]
    assert len(made) == len(deleted) == 3


def test_a_restore_stops_replaces_and_starts(cluster: Recorded, tmp_path: Path) -> None:
    backup.save(cluster, DEV, tmp_path / "b", with_bucket=True)
    cluster.asked.clear()
    backup.restore(cluster, DEV, tmp_path / "b", with_bucket=True)
    patches = [line for line in cluster.asked if line.startswith("patch")]
    assert [line.rpartition("=")[2] for line in patches] == [
        '{"spec": {"replicas": 0}}',
        '{"spec": {"replicas": 1}}',
    ] * 3
    loki = [line for line in cluster.short() if "loki" in line]
    assert loki[0].startswith("patch statefulset/loki")
    assert loki.index("restore data-loki-0.tar.gz") < len(loki) - 2
    assert "create backup-data-loki-0 on any node" in loki
    assert "add_silences" in cluster.asked


def test_a_part_is_started_again_when_its_restore_fails(
    cluster: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup.save(cluster, DEV, tmp_path / "b", with_bucket=True)

    def fail(*_: object) -> None:
        raise UserError("the disk is full")

    monkeypatch.setattr(archive, "restore", fail)
    with pytest.raises(UserError, match="the disk is full"):
        backup.restore(cluster, DEV, tmp_path / "b", with_bucket=True)
    assert [line.rpartition("=")[2] for line in cluster.asked if line.startswith("patch")][
        -1
    ] == '{"spec": {"replicas": 1}}'


def test_what_is_no_whole_backup_is_refused_before_anything_stops(cluster: Recorded, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no complete backup"):
        backup.restore(cluster, DEV, tmp_path, with_bucket=True)
    backup.save(cluster, DEV, tmp_path / "b", with_bucket=True)
    cluster.asked.clear()
    with pytest.raises(UserError, match=r"has no .*prometheus-1\.tar\.gz"):
        backup.restore(cluster, PROD, tmp_path / "b", with_bucket=True, other=True)
    (tmp_path / "b" / "data-loki-0.tar.gz").write_text("changed")
    with pytest.raises(UserError, match=r"data-loki-0\.tar\.gz is missing or was changed"):
        backup.restore(cluster, DEV, tmp_path / "b", with_bucket=True)
    assert cluster.asked == []
    with pytest.raises(UserError, match="is not empty"):
        backup.save(cluster, DEV, tmp_path / "b", with_bucket=True)


def test_a_backup_of_another_cluster_needs_a_word_more(cluster: Recorded, tmp_path: Path) -> None:
    backup.save(cluster, DEV, tmp_path / "b", with_bucket=True)
    other = DEV.model_copy(update={"cluster": DEV.cluster.model_copy(update={"name": "edge"})})
    cluster.asked.clear()
    with pytest.raises(UserError, match=r"a backup of the cluster dev, and this stack is edge: .*OTHER=1"):
        backup.restore(cluster, other, tmp_path / "b", with_bucket=True)
    assert cluster.asked == []
    backup.restore(cluster, other, tmp_path / "b", with_bucket=True, other=True)
    assert "add_silences" in cluster.asked


def changed(section: str, **values: object) -> Settings:
    return DEV.model_copy(update={section: getattr(DEV, section).model_copy(update=values)})


def test_the_hub_and_grafana_have_claims_of_their_own() -> None:
    *_, hub, loki = parts(changed("hub", enabled=True))
    assert hub.pods() == [("prometheus-hub-prometheus-0", "data-prometheus-hub-prometheus-0")]
    assert loki.name == "loki"
    *_, grafana = parts(changed("grafana", volume_size="1Gi"))
    assert grafana.pods() == [("kube-prometheus-stack-grafana-0", "storage-kube-prometheus-stack-grafana-0")]


def test_grafana_alone_is_stopped_while_it_is_copied(cluster: Recorded, tmp_path: Path) -> None:
    backup.save(cluster, changed("grafana", volume_size="1Gi"), tmp_path / "b", with_bucket=True)
    asked = cluster.short()
    stops = [line for line in asked if line.startswith("patch")]
    assert len(stops) == 2
    assert all(line.startswith("patch statefulset/kube-prometheus-stack-grafana") for line in stops)
    read = next(number for number, line in enumerate(asked) if line.startswith("save storage-kube-prometheus"))
    assert asked.index(stops[0]) < read < len(asked) - asked[::-1].index(stops[1])


def claim(name: str, size: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"resources": {"requests": {"storage": size}}}}


def test_a_claim_of_another_size_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    prometheus = parts(DEV)[0].pods()[0][1]
    items = [claim("data-loki-0", "1Gi"), claim(prometheus, "9Ti"), claim("data-alertmanager-alertmanager-0", "1Gi")]
    monkeypatch.setattr(Recorded, "get", lambda *_: {"items": [*items, claim("of-others", "1Gi")]})
    larger, smaller = sorted(volumes.differences(Recorded(), DEV))
    assert "The claim data-loki-0 has 1Gi, and the stack file says" in larger
    assert "grow it first" in larger
    assert f"The claim {prometheus} has 9Ti" in smaller
    assert "never shrinks" in smaller


def test_a_cluster_out_of_reach_stops_no_preview(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> Any:
        raise UserError("kubectl get: no route to host")

    monkeypatch.setattr(Recorded, "get", fail)
    volumes.warn(Recorded(), DEV)
    assert "are not compared with the cluster's: kubectl get: no route to host" in "".join(capsys.readouterr())


def test_a_restore_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(UserError, match="confirm it with YES=1"):
        backup.confirm("prod")


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ({"type": "s3", "bucket": "logs", "region": "eu"}, ":s3,provider=AWS,env_auth=true,region=eu:logs"),
        (
            {"type": "s3", "bucket": "logs", "region": "x", "endpoint": "https://s3.example.com:9000"},
            ':s3,provider=Other,env_auth=true,region=x,endpoint="https://s3.example.com:9000":logs',
        ),
        ({"type": "gcs", "bucket": "logs"}, ":gcs,env_auth=true,bucket_policy_only=true:logs"),
        ({"type": "azure", "account": "acc", "container": "logs"}, ":azureblob,env_auth=true,account=acc:logs"),
        ({"type": "filesystem"}, None),
    ],
)
def test_the_bucket_in_the_words_of_rclone(storage: dict[str, Any], expected: str | None) -> None:
    loki = PROD.loki.__class__.model_validate({"replicas": 1, "storage": storage})
    assert bucket.remote(loki.storage) == expected


def test_without_rclone_the_person_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_name: str) -> Path:
        raise UserError("building rclone failed")

    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setattr("tools.binaries.find", fail)
    with pytest.raises(UserError, match=r"can neither be found nor built(.|\n)*building rclone failed"):
        bucket.check(PROD.loki.storage)
    bucket.check(DEV.loki.storage)
    bucket.save(DEV.loki.storage, tmp_path)


@pytest.mark.parametrize("settings", [DEV, PROD])
def test_names_of_the_pods_are_short_enough(settings: Settings) -> None:
    for part in parts(settings):
        for _, claim in part.pods():
            name = claims.pod(settings, claim, part.user, None)["metadata"]["name"]
            assert len(name) <= 63
            assert not name.endswith("-")


def test_what_failed_is_said_in_words(tmp_path: Path) -> None:
    volume = archive.Volume("/claim", ("sh", "-c", "echo no such pod >&2; exit 1"))
    with pytest.raises(UserError, match=r"^emptying /claim failed: no such pod$"):
        archive.restore(volume, tmp_path / "claim.tar.gz")


def test_a_volume_is_emptied_of_hidden_files_and_folders_too(tmp_path: Path) -> None:
    volume = tmp_path / "claim"
    for path in (".hidden/file", "..hidden", "a b/c", "plain"):
        (volume / path).parent.mkdir(parents=True, exist_ok=True)
        (volume / path).touch()
    (tmp_path / "beside").touch()
    for _ in range(2):
        archive.run(archive.Volume(str(volume)).emptying(), "emptying")
        assert list(volume.iterdir()) == []
    assert (tmp_path / "beside").exists()
