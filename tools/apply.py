"""The way without the engine, for the local cluster only: render, generate secrets, `kubectl apply --server-side`."""

import json
import re
import secrets
import string
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tools.cluster.kubectl import kubectl
from tools.cluster.pki import Authority
from tools.console import UserError, progress, say
from tools.manifests import Manifests

LABEL = "observability/applied-by"
MARK = "make-up"
FIRST = ("Namespace", "CustomResourceDefinition")
NEVER_DELETED = {"Namespace", "CustomResourceDefinition", "PersistentVolumeClaim"}
COPIES = ("endpoints", "endpointslices", "events", "componentstatuses")
"""Resources that controllers make with the labels of the object they belong to."""
CRD_SECONDS = 60
IMMUTABLE = re.compile(r'The StatefulSet "([^"]+)" is invalid: spec: Forbidden')
"""What the API server says where a part of a StatefulSet has changed that cannot be changed, such as its claims."""


class LocalSecrets:
    """Secrets of the local cluster: generated once, kept beside its state with mode 0600, gone with it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        # The program asks for several passwords at once, each from a thread of its own.
        self._lock = threading.Lock()
        self._values: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}

    def password(self, name: str, length: int) -> str:
        """The generated password of that name."""
        return self._once(
            name, lambda: "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
        )

    def value(self, key: str) -> str:
        """A stand-in for a secret that the stack file does not hold: an address on this machine that nobody answers."""
        return self._once(key, lambda: f"http://127.0.0.1:9/{key}")

    def certificate(self, key: str) -> str:
        """A stand-in for one that has to be a certificate (PEM): that of an authority whose own key is thrown away."""
        return self._once(key, _authority)

    def _once(self, name: str, make: Callable[[], str]) -> str:
        with self._lock:
            if name not in self._values:
                self._values[name] = make()
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.touch(mode=0o600)
                self._file.write_text(json.dumps(self._values, indent=1))
            return self._values[name]


def _authority() -> str:
    with TemporaryDirectory(prefix="authority-") as folder:
        Authority(Path(folder))
        return (Path(folder) / "ca.crt").read_text()


def apply(kubeconfig: Path, rendered: Manifests) -> list[str]:
    """Apply every object, delete what an earlier run applied and the render no longer has; returns what changed.

    Raises UserError with kubectl's own message.
    """
    objects = [_labelled(item) for item in rendered.objects]
    changed: list[str] = []
    for first in (*FIRST, None):
        batch = [item for item in objects if (item["kind"] == first if first else item["kind"] not in FIRST)]
        if not batch:
            continue
        with progress(f"applying {len(batch)} {first or 'other'} objects"):
            changed += _apply(kubeconfig, batch)
        if first == "CustomResourceDefinition":
            names = [f"crd/{item['metadata']['name']}" for item in batch]
            kubectl(kubeconfig, "wait", "--for=condition=Established", f"--timeout={CRD_SECONDS}s", *names)
    return changed + _delete_stale(kubeconfig, objects)


def _labelled(item: dict[str, Any]) -> dict[str, Any]:
    meta = item["metadata"]
    return {**item, "metadata": {**meta, "labels": {**(meta.get("labels") or {}), LABEL: MARK}}}


def _apply(kubeconfig: Path, batch: list[dict[str, Any]]) -> list[str]:
    before = _versions(kubeconfig, batch)
    arguments = ("apply", "--server-side", "--force-conflicts", "--filename=-")
    try:
        kubectl(kubeconfig, *arguments, stdin=_list(batch))
    except UserError as error:
        fixed = IMMUTABLE.findall(str(error))
        if not fixed:
            raise
        for item in batch:
            if item["kind"] == "StatefulSet" and item["metadata"]["name"] in fixed:
                # Its pods and claims stay, and the new one adopts them.
                name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
                kubectl(kubeconfig, "delete", "statefulset", name, f"--namespace={namespace}", "--cascade=orphan")
        kubectl(kubeconfig, *arguments, stdin=_list(batch))
    after = _versions(kubeconfig, batch)
    return [
        f"{key} {'changed' if key in before else 'created'}"
        for key, version in after.items()
        if before.get(key) != version
    ]


def _versions(kubeconfig: Path, batch: list[dict[str, Any]]) -> dict[str, str]:
    """Generation (or resource version, for kinds without one) of each object that is there."""
    keys = [{"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": _place(item)} for item in batch]
    found = kubectl(kubeconfig, "get", "--ignore-not-found", "--output=json", "--filename=-", stdin=_list(keys))
    if not found.strip():
        return {}
    answer = json.loads(found)
    items = answer["items"] if answer["kind"] == "List" else [answer]
    return {
        _key(item): str(item["metadata"].get("generation") or item["metadata"]["resourceVersion"]) for item in items
    }


def _list(items: list[dict[str, Any]]) -> str:
    """One JSON List: written and read twenty times as fast as YAML, which shows with CRDs of half a megabyte."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _place(item: dict[str, Any]) -> dict[str, str]:
    return {key: item["metadata"][key] for key in ("name", "namespace") if key in item["metadata"]}


def _key(item: dict[str, Any]) -> str:
    return "/".join([item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]])


def _delete_stale(kubeconfig: Path, objects: Iterable[dict[str, Any]]) -> list[str]:
    wanted = {_key(item) for item in objects}
    resources = kubectl(kubeconfig, "api-resources", "--verbs=list,delete", "--output=name").split()
    own = ",".join(name for name in resources if not name.startswith(COPIES))
    answer = json.loads(
        kubectl(kubeconfig, "get", own, "--all-namespaces", f"--selector={LABEL}={MARK}", "--output=json")
    )
    stale = [
        item
        for item in answer["items"]
        # What a controller made from ours carries our labels too, and goes with its owner.
        if _key(item) not in wanted and item["kind"] not in NEVER_DELETED and "ownerReferences" not in item["metadata"]
    ]
    for item in stale:
        place = _place(item)
        scope = [f"--namespace={place['namespace']}"] if "namespace" in place else []
        kubectl(kubeconfig, "delete", item["kind"], place["name"], "--ignore-not-found", *scope)
        say(f"deleted {_key(item)}, which the stack no longer has")
    return [f"{_key(item)} deleted" for item in stale]
