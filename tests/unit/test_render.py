"""The render: one file an object, and never a secret in one."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import SettingsError
from tools.apply import LocalSecrets
from tools.manifests import CRD_FOLDER, Manifests, manifests, objects_of, unset_secrets
from tools.render import NOT_WRITTEN, write
from tools.synth import ROOT, Program, Resource, plain, settings_of, stack_config

SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "a", "namespace": "monitoring"},
    "stringData": {"password": "hunter2"},
}
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "b"}, "rules": []}


def test_one_file_an_object_and_no_secret_data(tmp_path: Path) -> None:
    (tmp_path / "stale").mkdir()
    write(Manifests("dev", objects=[SECRET, ROLE]), tmp_path)
    files = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.yaml")}
    assert set(files) == {"secret/monitoring.a.yaml", "clusterrole/b.yaml"}
    assert "hunter2" not in "".join(files.values())
    assert f"password: {NOT_WRITTEN!r}" in files["secret/monitoring.a.yaml"]
    assert not (tmp_path / "stale").exists()


def test_without_its_chart_the_crds_are_those_of_the_operator_that_the_stack_has_use_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / CRD_FOLDER).mkdir(parents=True)
    for plural in ("prometheuses", "thanosrulers"):
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": plural},
        }
        text = yaml.safe_dump({**crd, "spec": {"names": {"plural": plural}}})
        (tmp_path / CRD_FOLDER / f"{plural}.yaml").write_text(text)
    monkeypatch.setattr("tools.charts.chart", lambda _name: None)
    monkeypatch.setattr("tools.manifests.module_dir", lambda _module: tmp_path)
    rendered = manifests("dev", ROOT / "Pulumi.dev.yaml")
    crds = [item["metadata"]["name"] for item in rendered.objects if item["kind"] == "CustomResourceDefinition"]
    assert (rendered.crds_from_module, crds) == (True, ["prometheuses"])


def test_objects_are_plain_kubernetes(program: Program) -> None:
    for resource in program.resources:
        item = objects_of(resource)
        if item is None:
            continue
        assert list(item)[:3] == ["apiVersion", "kind", "metadata"]
        assert not item["kind"].endswith("Patch")
        assert not any(key.startswith("pulumi.com/") for key in item["metadata"].get("annotations", {}))


def test_object_names_are_unique(program: Program) -> None:
    items = [item for resource in program.resources if (item := objects_of(resource))]
    keys = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in items]
    assert len(keys) == len(set(keys))


def test_charts_and_components_are_no_objects() -> None:
    chart = Resource("kubernetes:helm.sh/v4:Chart", "c", "u", "", {}, frozenset(), False, "", False)
    component = Resource("observability:index:Loki", "l", "u", "", {}, frozenset(), False, "", False)
    assert objects_of(chart) is None
    assert objects_of(component) is None


def test_keys_of_others_in_a_stack_file_are_no_settings(tmp_path: Path) -> None:
    """The engine's and the providers' own, which the program does not read either."""
    file = tmp_path / "Pulumi.edge.yaml"
    file.write_text("""config:
  observability:cluster: {name: edge, distribution: k3s}
  observability:alertmanager: {heartbeat: {urlSecret: beats, logsUrlSecret: logs}}
  kubernetes:context: edge
  pulumi:tags: {team: platform}
""")
    assert unset_secrets(file, stack_config(file)) == ["beats", "logs"]
    assert settings_of(file, stack_config(file)).cluster.name == "edge"


def test_plain_values() -> None:
    assert plain({"a": 3.0, "b": [1.5, None], "c": None}) == {"a": 3, "b": [1.5, None]}


def test_generated_secrets_are_kept_and_private(tmp_path: Path) -> None:
    file = tmp_path / "state" / "secrets.json"
    first = LocalSecrets(file).password("loki-gateway-password", 40)
    assert re.fullmatch(r"[A-Za-z0-9]{40}", first)
    assert LocalSecrets(file).password("loki-gateway-password", 40) == first
    assert file.stat().st_mode & 0o777 == 0o600


def test_secrets_that_are_asked_for_at_once_are_all_kept(tmp_path: Path) -> None:
    """The program asks from several threads: the file stays readable, and a name has one value."""
    file = tmp_path / "secrets.json"
    local = LocalSecrets(file)
    names = [f"password-{number}" for number in range(40)] * 2
    with ThreadPoolExecutor(8) as pool:
        values = dict(zip(names, pool.map(lambda name: local.password(name, 20), names), strict=True))
    again = LocalSecrets(file)
    assert {name: again.password(name, 20) for name in names} == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist; stack files here: Pulumi.dev.yaml"),
        ("config: [", "is not readable as YAML"),
        ("- a", "has no `config:`"),
        ("config: 3", "has no `config:`"),
    ],
)
def test_unreadable_stack_files(tmp_path: Path, text: Any, message: str) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=re.escape(message)):
        stack_config(file)
