"""The real operator beside a cluster of fake nodes, and what it makes of the objects of a stack."""

import base64
import contextlib
import gzip
import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.apply import LocalSecrets, apply
from tools.binaries import find
from tools.cluster import Cluster
from tools.manifests import manifests
from tools.synth import ROOT

OPERATOR_SECONDS = 300


def wait_for(what: str, condition: Callable[[], Any], seconds: int) -> Any:
    """What the condition gives as soon as it holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.5)
    raise AssertionError(f"no {what} within {seconds} s")


@contextlib.contextmanager
def api_proxy(local: Cluster) -> Iterator[str]:
    """`kubectl proxy` on a free port: the operator takes an address and no kubeconfig."""
    command = [str(find("kubectl")), f"--kubeconfig={local.kubeconfig}", "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            # It says "Starting to serve on 127.0.0.1:40001".
            assert process.stdout is not None
            url = f"http://{process.stdout.readline().split()[-1]}"
            wait_for("answer of kubectl proxy", lambda: answers(f"{url}/readyz"), 120)
            yield url
        finally:
            process.terminate()


def answers(url: str) -> bool:
    """Whether a server says there that all is well."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def operator(local: Cluster, log: Path) -> Iterator[None]:
    """The operator runs for the length of the block."""
    with api_proxy(local) as url, log.open("w") as output:
        command = [str(find("prometheus-operator")), f"--apiserver={url}", "--web.listen-address=127.0.0.1:0"]
        with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
            try:
                yield
            finally:
                process.terminate()


def changed_dev(folder: Path, sections: Mapping[str, Any]) -> Path:
    """A stack file: that of stack dev with other sections, each by its name without the project's."""
    content = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))
    content["config"] |= {f"observability:{name}": section for name, section in sections.items()}
    file = folder / "Pulumi.dev.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def deploy(local: Cluster, file: Path, known: Mapping[str, str] | None = None) -> None:
    """Every object of a stack file of stack dev, with these secrets; the others are made now."""
    place = file.with_name("secrets.json")
    place.write_text(json.dumps(known or {}))
    secrets = LocalSecrets(place)
    apply(local.kubeconfig, manifests("dev", file, secrets=secrets.value, password=secrets.password, local=True))


def has(local: Cluster, stateful_set: str) -> bool:
    """Whether the operator has made this StatefulSet."""
    found = local.kubectl("get", "statefulset", "--namespace=monitoring", stateful_set, "--ignore-not-found")
    return bool(found.strip())


def read(local: Cluster, *arguments: str) -> Any:
    """Objects of the namespace `monitoring`."""
    return json.loads(local.kubectl("get", *arguments, "--namespace=monitoring", "--output=json"))


def packed(local: Cluster, secret: str, key: str) -> str:
    """What the operator wrote into a Secret, unpacked."""
    return gzip.decompress(base64.b64decode(read(local, "secret", secret)["data"][key])).decode()


def check(*command: str | Path) -> str:
    """What the program says; it has to be content."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def configuration(local: Cluster, name: str, folder: Path) -> dict[str, Any]:
    """What the operator writes for a Prometheus, after promtool has accepted it. Files of its pod are empty ones."""
    text = packed(local, f"prometheus-{name}", "prometheus.yaml.gz")
    for path in set(re.findall(r"/(?:var/run/secrets|etc/prometheus/certs|etc/prometheus/secrets)/\S+", text)):
        (folder / "file").touch()
        text = text.replace(path, str(folder / "file"))
    (folder / "prometheus.yaml").write_text(text)
    check(find("promtool"), "check", "config", folder / "prometheus.yaml")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def rule_files(local: Cluster, name: str) -> dict[str, str]:
    """Rule files that the operator gives a Prometheus, by their names."""
    maps = read(local, "configmaps")["items"]
    own = [item for item in maps if item["metadata"]["name"].startswith(f"prometheus-{name}-rulefiles-")]
    return {file: text for item in own for file, text in item.get("data", {}).items()}
