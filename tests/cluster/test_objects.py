"""Every rendered object of both stacks is accepted by a real API server, and the real operator makes good of them."""

import base64
import contextlib
import gzip
import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import addresses
from tools import cluster
from tools.apply import LocalSecrets, apply
from tools.binaries import find
from tools.cluster import Cluster
from tools.manifests import Manifests, manifests
from tools.synth import ROOT

OPERATOR_SECONDS = 300


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster.fake(tmp_path_factory.mktemp("objects")) as running:
        yield running


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Manifests]:
    secrets = LocalSecrets(tmp_path_factory.mktemp("secrets") / "secrets.json")

    def render(stack: str) -> Manifests:
        return manifests(
            stack, ROOT / f"Pulumi.{stack}.yaml", secrets=secrets.value, password=secrets.password, local=True
        )

    return render


def wait_for(what: str, condition: Callable[[], Any], seconds: int) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.5)
    raise AssertionError(f"no {what} within {seconds} s")


@pytest.mark.parametrize("stack", ["prod", "dev"])
def test_objects_are_accepted(local: Cluster, rendered: Callable[[str], Manifests], stack: str) -> None:
    """The second stack replaces the first: what it does not have is deleted, and applying again changes nothing."""
    objects = rendered(stack)
    if objects.missing_charts:
        print(f"NOT PROVEN HERE: objects of {', '.join(objects.missing_charts)}, whose chart cannot be reached")
    changed = apply(local.kubeconfig, objects)
    assert len([line for line in changed if line.endswith("created")]) > 0
    assert apply(local.kubeconfig, objects) == []


def test_what_the_stack_no_longer_has_is_deleted(local: Cluster, rendered: Callable[[str], Manifests]) -> None:
    objects = rendered("dev")
    gone = next(item for item in objects.objects if item["kind"] == "ConfigMap")
    objects.objects.remove(gone)
    name, namespace = gone["metadata"]["name"], gone["metadata"]["namespace"]
    assert apply(local.kubeconfig, objects) == [f"ConfigMap/{namespace}/{name} deleted"]
    assert local.kubectl("get", "configmap", name, "--namespace", namespace, "--ignore-not-found") == ""
    objects.objects.append(gone)
    assert apply(local.kubeconfig, objects) == [f"ConfigMap/{namespace}/{name} created"]


@pytest.fixture(scope="module")
def operator(local: Cluster, rendered: Callable[[str], Manifests], tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster with stack dev, after the operator has made a StatefulSet of each of its objects."""
    apply(local.kubeconfig, rendered("dev"))
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    wanted = {"prometheuses": f"prometheus-{addresses.PROMETHEUS}", "alertmanagers": "alertmanager-alertmanager"}
    with api_proxy(local) as url, log.open("w") as output:
        command = [find("prometheus-operator"), f"--apiserver={url}", "--web.listen-address=127.0.0.1:0"]
        with subprocess.Popen([str(part) for part in command], stdout=output, stderr=subprocess.STDOUT) as process:
            try:
                for kind, name in wanted.items():
                    if local.kubectl("get", kind, "--all-namespaces", "--output=name").strip():
                        wait_for(
                            f"StatefulSet {name} ({log.read_text()[-2000:]})",
                            partial(has, local, name),
                            OPERATOR_SECONDS,
                        )
            finally:
                process.terminate()
    return local


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
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def has(local: Cluster, stateful_set: str) -> bool:
    found = local.kubectl("get", "statefulset", "--namespace=monitoring", stateful_set, "--ignore-not-found")
    return bool(found.strip())


def packed(local: Cluster, secret: str, key: str) -> str:
    data = json.loads(local.kubectl("get", "secret", secret, "--namespace=monitoring", "--output=json"))["data"]
    return gzip.decompress(base64.b64decode(data[key])).decode()


def check(*command: str | Path) -> str:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_operator_makes_a_good_alertmanager_configuration(operator: Cluster, tmp_path: Path) -> None:
    text = packed(operator, "alertmanager-alertmanager-generated", "alertmanager.yaml.gz")
    config = tmp_path / "alertmanager.yaml"
    config.write_text(yaml.safe_dump({k: v for k, v in yaml.safe_load(text).items() if k != "templates"}))
    check(find("amtool"), "check-config", config)


def test_operator_makes_a_good_prometheus_configuration(operator: Cluster, tmp_path: Path) -> None:
    text = packed(operator, f"prometheus-{addresses.PROMETHEUS}", "prometheus.yaml.gz")
    for file in set(re.findall(r"/var/run/secrets/\S+", text)):
        local_file = tmp_path / file.lstrip("/")
        local_file.parent.mkdir(parents=True, exist_ok=True)
        local_file.touch()
        text = text.replace(file, str(local_file))
    config = tmp_path / "prometheus.yaml"
    config.write_text(text)
    check(find("promtool"), "check", "config", config)
    content = yaml.safe_load(text)
    targets = json.dumps(content["alerting"]["alertmanagers"])
    assert f'"regex": "{addresses.ALERTMANAGER}"' in targets
    assert '"api_version": "v2"' in targets
    assert content["global"]["external_labels"]["cluster"] == "dev"
    jobs = {scrape["job_name"] for scrape in content["scrape_configs"]}
    assert {"serviceMonitor/monitoring/loki/0", "podMonitor/monitoring-agents/promtail/0"} <= jobs
    assert any(job.startswith("probe/monitoring/observability-") for job in jobs)


def test_operator_gives_prometheus_our_rules(operator: Cluster, tmp_path: Path) -> None:
    maps = json.loads(operator.kubectl("get", "configmaps", "--namespace=monitoring", "--output=json"))["items"]
    own = [m for m in maps if m["metadata"]["name"].startswith(f"prometheus-{addresses.PROMETHEUS}-rulefiles-")]
    files = {name: text for item in own for name, text in item["data"].items()}
    ours = {
        item["metadata"]["name"]
        for item in json.loads(
            operator.kubectl(
                "get",
                "prometheusrules",
                "--namespace=monitoring",
                "--output=json",
                "--selector=app.kubernetes.io/name=alert-rules",
            )
        )["items"]
    }
    assert ours
    for rule in ours:
        assert any(name.startswith(f"monitoring-{rule}-") for name in files), rule
    for name, text in files.items():
        path = tmp_path / name
        path.write_text(text)
        check(find("promtool"), "check", "rules", path)
