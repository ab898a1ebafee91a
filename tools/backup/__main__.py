"""`make backup` and `make restore`: the data of a stack into a folder, and back.

A backup is taken while everything runs. A restore stops one daemon after the other and replaces what is on its claims.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from components import addresses
from settings import Settings
from tools.backup import archive, bucket, daemons
from tools.backup.claims import mounted
from tools.backup.parts import Part, parts
from tools.cluster import LOCAL
from tools.console import UserError, progress, run, say
from tools.reach import Reach, reach
from tools.rules import stack_settings

LIST, SILENCES = "backup.json", "silences.json"
STOP_SECONDS = 600


def save(cluster: Reach, settings: Settings, folder: Path, *, with_bucket: bool) -> None:
    """Write the data of a stack into an empty or new folder. Raises UserError; then the folder is no backup."""
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; give a folder of its own for each backup")
    if with_bucket:
        bucket.check(settings.loki.storage)
    folder.mkdir(parents=True, exist_ok=True)
    namespace, files = settings.namespaces.main, {}
    for part in parts(settings):
        for name, claim in part.pods():
            if part.name == "loki":
                with cluster.forward(name, namespace, f"pod/{name}", addresses.LOKI_PORT, {}) as loki:
                    daemons.flush_loki(loki.url)
            if part.name == "alertmanager" and name.endswith("-0"):
                with cluster.forward(name, namespace, f"pod/{name}", addresses.ALERTMANAGER_PORT, {}) as first:
                    (folder / SILENCES).write_text(json.dumps(daemons.silences(first.url), indent=1))
            node = cluster.get("pod", name, f"--namespace={namespace}")["spec"].get("nodeName")
            file = folder / f"{claim}.tar.gz"
            with (
                progress(f"reading {claim}"),
                stopped(cluster, namespace, part) if part.stopped else nullcontext(),
                mounted(cluster, settings, claim, part.user, node) as volume,
            ):
                files[file.name] = archive.save(volume, file)
            say(f"{file.name}: {file.stat().st_size / 2**20:.1f} MiB")
    if with_bucket:
        bucket.save(settings.loki.storage, folder)
    taken = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    (folder / LIST).write_text(json.dumps({"cluster": settings.cluster.name, "taken": taken, "files": files}, indent=1))
    say(f"The backup of {settings.cluster.name} is in {folder}. It holds logs and silences in plain: keep it safe.")


def read_list(folder: Path, settings: Settings, *, other: bool = False) -> dict[str, Any]:
    """The list of a backup.

    Raises UserError where it is none, is damaged, lacks a claim, or is one of another cluster and `other` is not set.
    """
    try:
        content: dict[str, Any] = json.loads((folder / LIST).read_text(encoding="utf-8"))
        files = dict(content["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} is no complete backup: {LIST}: {error}") from None
    if content.get("cluster") != settings.cluster.name and not other:
        raise UserError(
            f"{folder} is a backup of the cluster {content.get('cluster')}, and this stack is {settings.cluster.name}: "
            "series and lines would be found under the other name only; to restore it all the same: OTHER=1"
        )
    for name, known in files.items():
        if not (folder / name).is_file() or archive.digest(folder / name) != known:
            raise UserError(f"{folder / name} is missing or was changed since the backup was taken")
    wanted = {f"{claim}.tar.gz" for part in parts(settings) for _, claim in part.pods()}
    if lacking := sorted(wanted - set(files)):
        raise UserError(f"{folder} has no {', '.join(lacking)}: the stack had fewer replicas then; lower them first")
    return content


def restore(cluster: Reach, settings: Settings, folder: Path, *, with_bucket: bool, other: bool = False) -> None:
    """Put a backup in the place of what the claims hold. Raises UserError; it may be run again."""
    read_list(folder, settings, other=other)
    if with_bucket:
        bucket.restore(settings.loki.storage, folder)
    namespace = settings.namespaces.main
    for part in parts(settings):
        with progress(f"restoring {part.name}"), stopped(cluster, namespace, part):
            for _, claim in part.pods():
                with mounted(cluster, settings, claim, part.user) as volume:
                    archive.restore(volume, folder / f"{claim}.tar.gz", daemons.LEFT_OUT.get(part.name, ()))
        say(f"{part.name}: restored")
        if part.name == "alertmanager" and (folder / SILENCES).exists():
            first = f"pod/{part.pod}-0"
            with cluster.forward(part.name, namespace, first, addresses.ALERTMANAGER_PORT, {}) as alertmanager:
                count = daemons.add_silences(alertmanager.url, json.loads((folder / SILENCES).read_text()))
            say(f"{count} silences added that the files did not have yet")


@contextmanager
def stopped(cluster: Reach, namespace: str, part: Part) -> Iterator[None]:
    """The part without pods for the length of the block, which is started again whatever happens there."""
    try:
        scale(cluster, namespace, part, 0)
        yield
    finally:
        scale(cluster, namespace, part, part.replicas)


def scale(cluster: Reach, namespace: str, part: Part, replicas: int) -> None:
    """Have so many pods of a part, and wait until they are gone or Ready."""
    change = json.dumps({"spec": {"replicas": replicas}})
    place = f"--namespace={namespace}"
    cluster.kubectl("patch", part.scaled, place, "--type=merge", f"--patch={change}")
    names = [f"pod/{name}" for name, _ in part.pods()]
    if replicas == 0:
        cluster.kubectl("wait", "--for=delete", *names, place, f"--timeout={STOP_SECONDS}s")
    else:
        cluster.kubectl("wait", "--for=create", *names, place, f"--timeout={STOP_SECONDS}s")
        cluster.kubectl("wait", "--for=condition=Ready", *names, place, f"--timeout={STOP_SECONDS}s")


def confirm(stack: str) -> None:
    """Ask before data is replaced. Raises UserError where the answer is no."""
    if not sys.stdin.isatty():
        raise UserError(f"a restore replaces the data of stack {stack}; confirm it with YES=1")
    if input(f"A restore replaces the data of stack {stack}. Type the stack's name to go on: ") != stack:
        raise UserError("not confirmed; nothing was changed")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.backup", description=__doc__)
    parser.add_argument("command", choices=["save", "restore"])
    parser.add_argument("--stack", required=True, help="the name in Pulumi.<stack>.yaml")
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--no-bucket", action="store_true", help="leave the bucket of Loki alone")
    parser.add_argument("--yes", action="store_true", help="do not ask before data is replaced")
    parser.add_argument("--other", action="store_true", help="restore the backup of another cluster")
    arguments = parser.parse_args()
    settings = stack_settings(arguments.stack)
    cluster = reach(settings, LOCAL)
    if arguments.command == "save":
        save(cluster, settings, arguments.folder, with_bucket=not arguments.no_bucket)
    else:
        read_list(arguments.folder, settings, other=arguments.other)
        if not arguments.yes:
            confirm(arguments.stack)
        with_bucket = not arguments.no_bucket
        restore(cluster, settings, arguments.folder, with_bucket=with_bucket, other=arguments.other)


if __name__ == "__main__":
    run(main)
