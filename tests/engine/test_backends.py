"""State in a folder and in a bucket of a real S3-like server: what docs/backends.md says of them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import daemon
from tests.live.logql.daemons import Server
from tools import binaries
from tools.console import UserError
from tools.engine import Engine
from tools.faults.daemons import until
from tools.ports import free_ports
from tools.synth import ROOT

PROGRAM = 'import pulumi\npulumi.export("address", pulumi.Config().require_secret("address"))\n'
CANARY = "canary-of-the-address"
KEYS = {"AWS_ACCESS_KEY_ID": "bench-only", "AWS_SECRET_ACCESS_KEY": "bench-only-too"}


@pytest.fixture(scope="module")
def engine() -> Engine:
    program = shutil.which("pulumi")
    if program is None:
        pytest.skip("THE BACKENDS ARE NOT TRIED HERE: no pulumi command is on PATH")
    return Engine(Path(program))


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a bucket `pulumi`; its backend address is in the file `address` beside it."""
    folder = tmp_path_factory.mktemp("minio")
    (folder / "data" / "pulumi").mkdir(parents=True)
    port, console = free_ports(2)
    keys = {"MINIO_ROOT_USER": KEYS["AWS_ACCESS_KEY_ID"], "MINIO_ROOT_PASSWORD": KEYS["AWS_SECRET_ACCESS_KEY"]}
    listen = [f"--address=127.0.0.1:{port}", f"--console-address=127.0.0.1:{console}"]
    command = ["env", *(f"{key}={value}" for key, value in keys.items()), binaries.find("minio"), "server", *listen]
    with daemon([*command, folder / "data"], folder / "log") as alive:
        until("start of MinIO", lambda: alive() and Server(port).answers("/minio/health/ready"))
        options = "disableSSL=true&s3ForcePathStyle=true&region=us-east-1"
        (folder / "address").write_text(f"s3://pulumi?endpoint=127.0.0.1:{port}&{options}")
        yield folder


class Project:
    """A small program with one secret, and the commands on its stack `edge`."""

    def __init__(self, engine: Engine, folder: Path, backend: str, passphrase: str = "of-edge") -> None:
        self.engine, self.folder = engine, folder
        self.environment = {**KEYS, "PULUMI_BACKEND_URL": backend, "PULUMI_CONFIG_PASSPHRASE": passphrase}
        folder.mkdir(exist_ok=True)
        (folder / "__main__.py").write_text(PROGRAM)
        options = f"{{virtualenv: {ROOT / '.venv'}}}"
        text = f"name: observability\nruntime: {{name: python, options: {options}}}\n"
        (folder / "Pulumi.yaml").write_text(text)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        place = ["--cwd", str(self.folder), "--stack", "edge"]
        return self.engine.run([*arguments, *place], self.environment, quiet=True, stdin=stdin)


@pytest.fixture(params=["folder", "bucket"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "bucket":
        return str((request.getfixturevalue("minio") / "address").read_text())
    (tmp_path / "state").mkdir()
    return f"file://{tmp_path / 'state'}"


def test_a_stack_lives_in_each_backend_and_moves(engine: Engine, backend: str, tmp_path: Path) -> None:
    first = Project(engine, tmp_path / "first", backend)
    first.run("stack", "init", "--secrets-provider", "passphrase")
    first.run("config", "set", "--secret", "address", stdin=CANARY)
    first.run("up", "--yes", "--skip-preview")
    first.run("preview", "--expect-no-changes")
    assert CANARY in first.run("stack", "output", "address", "--show-secrets")
    for file in (tmp_path / "first" / "Pulumi.edge.yaml", *(tmp_path / "state").rglob("*.json")):
        assert CANARY not in file.read_text()
    exported = tmp_path / "edge.json"
    first.run("stack", "export", "--file", str(exported))
    assert json.loads(exported.read_text())["deployment"]["resources"]
    assert CANARY not in exported.read_text()

    with pytest.raises(UserError, match="passphrase"):
        Project(engine, tmp_path / "first", backend, "wrong").run("stack", "output", "address", "--show-secrets")

    (tmp_path / "other").mkdir()
    moved = Project(engine, tmp_path / "first", f"file://{tmp_path / 'other'}")
    moved.run("stack", "init", "--secrets-provider", "passphrase")
    moved.run("stack", "import", "--file", str(exported))
    moved.run("preview", "--expect-no-changes")
    first.run("destroy", "--yes", "--skip-preview")
    first.run("stack", "rm", "--yes", "--preserve-config")


def test_the_bucket_holds_the_state(engine: Engine, minio: Path, tmp_path: Path) -> None:
    project = Project(engine, tmp_path / "first", (minio / "address").read_text())
    project.run("stack", "init", "--secrets-provider", "passphrase")
    assert list((minio / "data" / "pulumi" / ".pulumi" / "stacks" / "observability").glob("edge*"))
    project.run("stack", "rm", "--yes")
