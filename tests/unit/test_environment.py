"""Defaults that stacks share: what lies over what, and which file a mistake is in."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import Settings, SettingsError, environment, parse
from settings.environment import FOLDER, load, merge
from settings.reader import PROJECT, secret_keys
from tools.console import UserError
from tools.new_cluster import content, create, next_steps
from tools.synth import synthesize

CLUSTER = {"name": "edge", "distribution": "k3s"}


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes the environment `site` of a folder of its own."""
    monkeypatch.setattr(environment.load, "__defaults__", (tmp_path,))

    def write(**sections: Any) -> None:
        config = {f"{PROJECT}:{key}": value for key, value in sections.items()}
        (tmp_path / "site.yaml").write_text(yaml.safe_dump({"config": config}))

    return write


def stack(**sections: Any) -> Settings:
    return parse({"environment": "site", "cluster": CLUSTER, **sections}, "Pulumi.edge.yaml", check_secrets=False)


def mistakes(**sections: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        stack(**sections)
    return [line.strip() for line in str(caught.value).splitlines()]


def test_a_key_twice_is_a_mistake(shared: Any, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("config:\n  observability:events: {mode: off}\n  observability:events: {}\n")
    assert "key 'observability:events' stands twice" in " ".join(mistakes())


@pytest.mark.parametrize(
    ("below", "above", "wanted"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({}, {"a": None}, {"a": None}),
        ({"s": {"type": "s3", "bucket": "x"}}, {"s": {"type": "filesystem"}}, {"s": {"type": "filesystem"}}),
        ({"s": {"type": "s3", "a": 1}}, {"s": {"type": "s3", "b": 2}}, {"s": {"type": "s3", "a": 1, "b": 2}}),
        ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
    ],
)
def test_what_lies_over_what(below: dict[str, Any], above: dict[str, Any], wanted: dict[str, Any]) -> None:
    before = yaml.safe_dump(below)
    assert merge(below, above) == wanted
    assert yaml.safe_dump(below) == before


def test_a_stack_says_only_what_differs(shared: Any) -> None:
    shared(prometheus={"retention": "35d", "replicas": 2}, alertmanager={"heartbeat": "none"})
    found = stack(prometheus={"replicas": 1})
    assert (found.prometheus.retention, found.prometheus.replicas) == ("35d", 1)
    assert found.environment == "site"


def test_a_mistake_names_the_file_it_is_in(shared: Any) -> None:
    shared(loki={"retention": "7"}, prometheus={"replicaz": 2}, alertmanager={"heartbeat": "none"}, grafna={})
    assert mistakes(prometheus={"retention": "x"}, dcgm={"mode": "on"})[1:] == [
        "Pulumi.edge.yaml: observability:prometheus.retention: 'x' is not a duration; write for example 30s, "
        "15m or 10d",
        "settings/environments/site.yaml: observability:prometheus.replicaz is not a known key; did you mean replicas?",
        "settings/environments/site.yaml: observability:loki.retention: '7' is not a duration; write for example 30s, "
        "15m or 10d",
        "Pulumi.edge.yaml: observability:dcgm.mode: 'on': input should be 'deploy', 'existing' or 'off'",
        "settings/environments/site.yaml: observability:grafna is not a known key; did you mean grafana?",
    ]


def test_a_mistake_between_both_files_names_both(shared: Any) -> None:
    shared(loki={"replicas": 3}, alertmanager={"heartbeat": "none"})
    both = "Pulumi.edge.yaml over settings/environments/site.yaml"
    assert mistakes(loki={"retention": "7d"})[1].startswith(f"{both}: observability:loki: replicas above 1 need object")


def test_what_neither_has_is_missing_in_the_stack_file(shared: Any) -> None:
    shared(loki={})
    assert mistakes()[1].startswith("Pulumi.edge.yaml: observability:alertmanager is missing")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"cluster": {"context": "x"}}, "observability:cluster.context belongs into each stack file"),
        ({"environment": "prod"}, "observability:environment belongs into each stack file"),
        ({"slackUrl": {"secure": "v1:abc"}}, "observability:slackUrl is a secret, encrypted for one stack"),
    ],
)
def test_what_no_two_stacks_may_share(shared: Any, sections: dict[str, Any], message: str) -> None:
    shared(**sections)
    assert f"Pulumi.edge.yaml: observability:environment: settings/environments/site.yaml: {message}" in mistakes()[1]


@pytest.mark.parametrize("text", ["a: b: c", "[]", "", "config: []"])
def test_a_file_that_cannot_be_used(shared: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "site.yaml").write_text(text)
    assert mistakes()[1].startswith("Pulumi.edge.yaml: observability:environment: settings/environments/site.yaml:")


@pytest.mark.parametrize(
    ("name", "hint"), [("prd", "did you mean prod?"), ("x", "there are dev, prod"), (7, "dev"), ({"a": 1}, "dev")]
)
def test_an_unknown_environment(name: object, hint: str) -> None:
    with pytest.raises(SettingsError, match="is no file of settings/environments") as caught:
        parse({"environment": name, "cluster": CLUSTER}, "f")
    assert hint in str(caught.value)


def test_the_program_reads_the_environment_as_the_engine_gives_it() -> None:
    """A plain text in the configuration, not JSON; and the sections that Pulumi.yaml defaults to `{}`."""
    config = {f"{PROJECT}:environment": "prod", f"{PROJECT}:cluster": CLUSTER, f"{PROJECT}:prometheus": {}}
    keys = secret_keys(parse({"environment": "prod", "cluster": CLUSTER}, "f", check_secrets=False))
    program = synthesize("edge", config, secrets=dict.fromkeys(keys, "x"))
    assert program.named("alertmanager-alertmanager").inputs["spec"]["replicas"] == 3
    with pytest.raises(SettingsError, match="observability:pagerdutyRoutingKey is missing"):
        synthesize("edge", config)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_environment_is_good_by_itself(file: Path) -> None:
    parse({"environment": file.stem, "cluster": CLUSTER}, file.name, check_secrets=False)


def test_a_new_cluster_of_an_environment(tmp_path: Path) -> None:
    text = create("edge", "k3s", "edge", tmp_path, "prod").read_text()
    sections = {key.removeprefix(f"{PROJECT}:"): value for key, value in yaml.safe_load(text)["config"].items()}
    assert list(sections) == ["environment", "cluster", "grafana", "dcgm"]
    assert not set(load("prod")) & (set(sections) - {"environment"})
    assert "--secret observability:pagerdutyRoutingKey" in next_steps("edge", text)
    with pytest.raises(UserError, match=r"^ENVIRONMENT: 'prd' is no file .* did you mean prod\?"):
        content("edge", "k3s", "edge", "prd")
