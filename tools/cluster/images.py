"""Brings images onto the real node: pulled where a registry answers, else assembled from the pinned programs."""

import json
import platform
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tools.cluster import namespaces
from tools.cluster.oci import ARCHITECTURES, Image, write
from tools.cluster.recipes import RECIPES
from tools.cluster.state import State
from tools.console import progress

CONTAINERD_NAMESPACE = "k8s.io"
REGISTRY_SECONDS = 3
PULL_SECONDS = 300
RECORD = "local-images.json"


@dataclass
class Brought:
    """Where images came from. `missing` are those that could be had neither way."""

    present: list[str] = field(default_factory=list)
    pulled: list[str] = field(default_factory=list)
    assembled: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def ensure(state: State, references: Iterable[str]) -> Brought:
    """Bring the images onto the node, unless they are there; a registry is asked once, not once an image.

    Raises `UserError` when a program cannot be built or an image not be imported.
    """
    result = Brought()
    on_node = set(_ctr(state, "images", "list", "--quiet").split())
    answers: dict[str, bool] = {}
    for reference in dict.fromkeys(references):
        host = reference.partition("/")[0]
        if reference in on_node:
            result.present.append(reference)
            continue
        if host not in answers:
            answers[host] = _registry_answers(host)
        repository = reference.partition("@")[0].rpartition(":")[0]
        if answers[host] and _pull(state, reference):
            result.pulled.append(reference)
        elif repository in RECIPES:
            load(state, reference, RECIPES[repository]())
            result.assembled.append(reference)
        else:
            result.missing.append(reference)
    return result


def load(state: State, reference: str, image: Image) -> None:
    """Assemble `image` and put it onto the node under this name, labelled and recorded as a local build."""
    archive = state.folder / "node" / "image.tar"
    with progress(f"assembling {reference}"):
        try:
            write(image, reference, ARCHITECTURES.get(platform.machine(), platform.machine()), archive)
            _ctr(state, "images", "import", f"--snapshotter={_snapshotter(state)}", str(archive))
        finally:
            archive.unlink(missing_ok=True)
    _record(state).write_text(json.dumps(sorted({*local_builds(state), reference})))


def local_builds(state: State) -> list[str]:
    """The images on the node that were assembled here instead of pulled."""
    record = _record(state)
    return list(json.loads(record.read_text())) if record.exists() else []


def _record(state: State) -> Path:
    return state.folder / RECORD


def _registry_answers(host: str) -> bool:
    """Whether a registry is reachable; that it wants a login is an answer, too."""
    name = "registry-1.docker.io" if host == "docker.io" else host
    try:
        urllib.request.urlopen(f"https://{name}/v2/", timeout=REGISTRY_SECONDS)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True


def _pull(state: State, reference: str) -> bool:
    """Pull by the machine's own network: the namespaces have no way out, but `ctr` fetches and hands over."""
    socket = f"/proc/{state.parts[namespaces.HOLDER].pid}/root/run/containerd/containerd.sock"
    command = ["ctr", f"--address={socket}", f"--namespace={CONTAINERD_NAMESPACE}", "images", "pull"]
    with progress(f"pulling {reference}"):
        try:
            result = subprocess.run(
                [*command, f"--snapshotter={_snapshotter(state)}", reference],
                capture_output=True,
                timeout=PULL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return result.returncode == 0


def _snapshotter(state: State) -> str:
    config = (state.folder / "node" / "containerd.toml").read_text()
    return "overlayfs" if '"overlayfs"' in config else "native"


def _ctr(state: State, *arguments: str) -> str:
    return namespaces.run_inside(state, ["ctr", f"--namespace={CONTAINERD_NAMESPACE}", *arguments])
