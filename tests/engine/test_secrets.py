"""Recognisable values in every secret of stack prod, and where the real engine lets them be seen: nowhere."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings.reader import PROJECT
from tests.security.canaries import LOKI_WITH_KEYS, hits, planted
from tools import engine
from tools.cluster import Cluster
from tools.engine import LocalStack
from tools.synth import ROOT, stack_config

ROTATED = "secretKey"


@contextmanager
def arguments_watched() -> Iterator[set[bytes]]:
    """The arguments of every process of this machine in the meantime, as everybody can read them."""
    seen: set[bytes] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(file.read_bytes())
                except OSError:
                    continue
            over.wait(0.05)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


class Told:
    """Everything that the engine tells, by what it was asked, and the values that must not be in it."""

    def __init__(self, stack: LocalStack, local: Cluster, file: Path) -> None:
        self.texts: dict[str, bytes] = {}
        self.secrets: dict[str, str] = {}
        self.stack, self.local, self.file = stack, local, file

    def prepare(self, value: Callable[[str], str]) -> None:
        """Set the secrets of the stack file, and remember them."""

        def remembered(key: str) -> str:
            self.secrets[f"{key} {len(self.secrets)}"] = value(key)
            return value(key)

        self.stack.prepare(self.local.kubeconfig, remembered, self.file)

    def ask(self, *arguments: str) -> None:
        """Run the engine, and keep what it says."""
        self.texts[f"{len(self.texts)} {' '.join(arguments)}"] = self.stack.run(*arguments, quiet=True).encode()


@pytest.fixture(scope="module")
def told(local: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The life of the stack: preview in all forms, up, a rotated secret, state and configuration as they are."""
    found = engine.find()
    assert isinstance(found, engine.Engine)
    folder = tmp_path_factory.mktemp("stack")
    file = tmp_path_factory.mktemp("file") / "Pulumi.prod.yaml"
    config = {**stack_config(ROOT / "Pulumi.prod.yaml"), f"{PROJECT}:loki": LOKI_WITH_KEYS}
    file.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    result = Told(LocalStack(found, "prod", folder), local, file)
    with arguments_watched() as seen:
        result.prepare(planted)
        result.ask("preview")
        result.ask("preview", "--diff")
        result.ask("preview", "--json")
        result.ask("up", "--yes", "--skip-preview")
        rotated = planted("rotated")
        result.secrets["rotated"] = rotated
        options = ["--config-file", str(result.stack.config_file), "--stack", "prod"]
        found.run(
            ["config", "set", "--secret", f"{PROJECT}:{ROTATED}", *options],
            result.stack.environment(),
            quiet=True,
            stdin=rotated,
        )
        result.ask("preview", "--diff")
        result.ask("preview", "--json")
        result.ask("up", "--yes", "--diff")
        result.ask("stack", "export")
        result.ask("stack", "output", "--json")
    result.texts["process arguments"] = b"\n".join(seen)
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "passphrase":
            result.texts[f"file {path.relative_to(folder)}"] = path.read_bytes()
    shown: dict[str, Any] = json.loads(result.stack.run("stack", "export", "--show-secrets", quiet=True))
    for resource in shown["deployment"]["resources"]:
        if resource["type"].endswith("RandomPassword"):
            result.secrets[resource["urn"].rsplit("::", 1)[-1]] = json.loads(resource["outputs"]["result"]["plaintext"])
    return result


def test_no_secret_is_told(told: Told) -> None:
    assert len(told.secrets) >= 12
    found = {where: there for where, text in told.texts.items() if (there := hits(text, told.secrets))}
    size = sum(len(text) for text in told.texts.values())
    print(f"{len(told.secrets)} secrets planted or made, {len(told.texts)} outputs and files of {size} bytes searched")
    assert found == {}


def test_the_search_would_find_them(told: Told) -> None:
    """The same state with secrets shown has every one of them."""
    shown = told.stack.run("stack", "export", "--show-secrets", quiet=True).encode()
    current = {name: value for name, value in told.secrets.items() if not name.startswith(f"{ROTATED} ")}
    assert hits(shown, current) == set(current)


def test_the_cluster_has_them_in_secrets_alone(told: Told) -> None:
    kinds = told.local.kubectl("api-resources", "--verbs=list", "--output=name").split()
    others = ",".join(kind for kind in kinds if kind not in {"secrets", "events", "componentstatuses"})
    text = told.local.kubectl("get", others, "--all-namespaces", "--output=json").encode()
    assert hits(text, told.secrets) == set()
    current = {name: value for name, value in told.secrets.items() if not name.startswith(f"{ROTATED} ")}
    salts = {name for name in current if "salt" in name}
    inside = told.local.kubectl("get", "secrets", "--all-namespaces", "--output=json").encode()
    assert hits(inside, current) >= set(current) - salts


def test_a_rotated_key_rolls_its_user_alone(told: Told) -> None:
    [text] = [
        text for name, text in told.texts.items() if name.endswith("preview --json") and not name.startswith("2 ")
    ]
    content = text[text.index(b"{") :]
    steps = json.loads(content)["steps"]
    changed = {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if step["op"] != "same"}
    assert changed == {"loki-storage": "update", "loki-stateful-set": "update"}
