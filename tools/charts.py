"""Finds the Helm charts of the stack and renders them: OBSERVABILITY_CHARTS, else the cache, else the registry."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from components.versions import CHARTS
from tools import go_build
from tools.binaries import find
from tools.console import UserError, progress

SETTING = "OBSERVABILITY_CHARTS"
PULL_SECONDS = 60
KUBERNETES_VERSION = "1.36.3"
"""Version that charts are rendered for: the one that the local cluster runs."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads a plain `=` as text, which YAML 1.1 reserves and CRDs have among their values."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


def read_objects(text: str) -> list[dict[str, Any]]:
    """Kubernetes objects of a YAML stream."""
    return [item for item in yaml.load_all(text, Loader=_Loader) if item]


def chart(name: str, version: str | None = None) -> Path | None:
    """Folder or archive of a chart, pulled into the cache where the registry answers; None where it cannot be had.

    A folder is taken for the version of the table; another `version` is an archive.
    """
    archive = f"{name}-{version or CHARTS[name].version}.tgz"
    cache = go_build.cache_dir().parent / "charts"
    folders = [Path(os.environ[SETTING])] if os.environ.get(SETTING) else []
    for folder in [*folders, cache]:
        for candidate in (folder / archive, *([folder / name] if version is None else [])):
            if candidate.exists():
                return candidate
    return _pull(name, version or CHARTS[name].version, cache)


def _pull(name: str, version: str, cache: Path) -> Path | None:
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder, progress(f"Pulling chart {name}"):
        command = [
            str(find("helm")),
            "pull",
            CHARTS[name].oci,
            "--version",
            version,
            "--destination",
            folder,
        ]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=PULL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return None
        archives = list(Path(folder).glob("*.tgz"))
        if result.returncode or not archives:
            return None
        return archives[0].rename(cache / f"{name}-{version}.tgz")


def template(location: Path, release: str, namespace: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Objects of a chart, as `helm template` renders them, without hooks.

    Raises UserError with Helm's own message.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump(dict(values), file)
        file.flush()
        options = ["--namespace", namespace, "--values", file.name, "--no-hooks", "--kube-version", KUBERNETES_VERSION]
        command = [str(find("helm")), "template", release, str(location), *options]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(f"helm cannot render the chart {location}: {result.stderr.strip()}")
    objects = read_objects(result.stdout)
    for item in objects:
        if item["kind"] not in CLUSTER_SCOPED:
            item["metadata"].setdefault("namespace", namespace)
    return objects


CLUSTER_SCOPED = frozenset(
    {"Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PriorityClass", "StorageClass"}
)
"""Kinds of ours and of the charts that lie in no namespace."""
