"""A sample of generated stack files that the settings accept: a real API server takes every object of them, and the
daemons' own checkers every configuration.

OBSERVABILITY_FUZZ_SAMPLES sets how many; the default is for every run of this tier.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings

from settings import SettingsError
from settings.reader import PROJECT, secret_keys
from tests.security.test_fuzz import read, stack_files
from tools import cluster
from tools.binaries import find
from tools.cluster import Cluster
from tools.manifests import manifests, objects_of
from tools.synth import ROOT, synthesize

SAMPLES = int(os.environ.get("OBSERVABILITY_FUZZ_SAMPLES", "10"))
TRIES = 40
"""Generated files for one sample: most are refused, as they should be."""
NAMESPACE = "fuzz"
Object = dict[str, Any]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster.fake(tmp_path_factory.mktemp("fuzz")) as running:
        crds = [
            item
            for item in manifests("dev", ROOT / "Pulumi.dev.yaml").objects
            if item["kind"] == "CustomResourceDefinition"
        ]
        meta = {"name": NAMESPACE}
        first = [{"apiVersion": "v1", "kind": "Namespace", "metadata": meta}, *crds]
        # Server-side: the CRDs are too large for the annotation that a plain apply leaves.
        running.kubectl("apply", "--server-side", "--filename=-", stdin=listed(first))
        running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=180s")
        yield running


def listed(items: list[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, default=str)


def samples() -> list[dict[str, Any]]:
    """Accepted stack files, the same ones at every run, as long as the settings are."""
    found: list[dict[str, Any]] = []

    @settings(
        max_examples=SAMPLES * TRIES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(stack_files())
    def collect(file: dict[str, Any]) -> None:
        if len(found) < SAMPLES and file not in found and read(file) is not None:
            found.append(file)

    collect()
    return found


def made(file: dict[str, Any]) -> list[Object] | None:
    """Objects of a stack file; None where the program refuses it with a message."""
    accepted = read(file)
    assert accepted is not None
    config = {f"{PROJECT}:{key}": value for key, value in file.items()}
    try:
        program = synthesize("fuzz", config, secrets=dict.fromkeys(secret_keys(accepted), "https://example.com/x"))
    except SettingsError:
        return None
    objects = [item for resource in program.resources if (item := objects_of(resource))]
    for item in objects:
        if "namespace" in item["metadata"]:
            item["metadata"]["namespace"] = NAMESPACE
    return objects


def refused_by_server(local: Cluster, objects: list[Object]) -> str:
    command = [str(find("kubectl")), f"--kubeconfig={local.kubeconfig}", "create", "--dry-run=server", "--filename=-"]
    # Names of the two namespaces are the stack's; of the rest there may be one on the cluster already.
    items = [item for item in objects if item["kind"] != "Namespace"]
    result = subprocess.run(command, input=listed(items), capture_output=True, text=True, check=False)
    lines = [line for line in result.stderr.splitlines() if "already exists" not in line]
    return "\n".join(line for line in lines if not line.startswith("Warning"))


def checked(*command: str | Path, **environment: str) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    return (result.stdout + result.stderr)[-1500:] if result.returncode else ""


def refused_by_daemons(objects: list[Object], folder: Path) -> list[str]:
    """What the checkers of Alertmanager, Loki, blackbox exporter and Prometheus say against their configuration."""
    found = []
    folder.mkdir()
    for item in objects:
        name, file = item["metadata"]["name"], folder / f"{item['kind']}-{item['metadata']['name']}.yaml"
        if (item["kind"], name) == ("Secret", "alertmanager-config"):
            content = yaml.safe_load(item["stringData"]["alertmanager.yaml"])
            file.write_text(yaml.safe_dump({key: value for key, value in content.items() if key != "templates"}))
            found.append(checked(find("amtool"), "check-config", file))
        elif (item["kind"], name) == ("ConfigMap", "loki-config"):
            file.write_text(item["data"]["config.yaml"])
            keys = {"S3_ACCESS_KEY_ID": "a", "S3_SECRET_ACCESS_KEY": "b", "AZURE_ACCOUNT_KEY": "Yw=="}
            command: list[str | Path] = [
                find("loki"),
                f"-config.file={file}",
                "-config.expand-env=true",
                "-verify-config",
            ]
            found.append(checked(*command, POD_IP="127.0.0.1", **keys))
        elif (item["kind"], name) == ("ConfigMap", "blackbox-exporter-config"):
            file.write_text(item["data"]["config.yml"])
            found.append(checked(find("blackbox_exporter"), f"--config.file={file}", "--config.check"))
        elif item["kind"] == "PrometheusRule":
            file.write_text(yaml.safe_dump(item["spec"]))
    rules = sorted(folder.glob("PrometheusRule-*"))
    found.append(checked(find("promtool"), "check", "rules", *rules))
    return [text for text in found if text]


def test_accepted_stacks_are_accepted_by_everybody(local: Cluster, tmp_path: Path) -> None:
    wrong, judged, count = [], 0, 0
    for number, file in enumerate(samples()):
        objects = made(file)
        if objects is None:
            continue
        judged, count = judged + 1, count + len(objects)
        said = [refused_by_server(local, objects), *refused_by_daemons(objects, tmp_path / str(number))]
        wrong += [f"{text}\nThe stack file: {json.dumps(file, default=str)[:3000]}" for text in said if text]
    print(f"{judged} generated stacks with {count} objects judged, {len(wrong)} complaints")
    assert judged >= min(SAMPLES, 5)
    assert wrong == [], "\n\n".join(wrong)
