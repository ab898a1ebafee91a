"""The closing page of `make up`, and the images that a stack needs."""

from typing import Any

import pytest

from tools.manifests import images as needed
from tools.page import Page, firing, images, rules, show


class Answers:
    """Parts of a stack that answer what they are told to."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def read(self, name: str, _path: str) -> Any:
        return self.answers[name]


def test_images_say_where_they_are_from() -> None:
    pods = [
        {"spec": {"containers": [{"image": "a:1"}, {"image": "b:1"}]}},
        {"spec": {"containers": [{"image": "a:1"}]}},
    ]
    assert images(pods, ["a:1"]) == [("a:1", "local build", 2), ("b:1", "pulled", 1)]


def test_rules_are_counted_and_failing_ones_named() -> None:
    group = {
        "rules": [
            {"name": "good", "type": "alerting", "health": "ok"},
            {"name": "bad", "type": "alerting", "health": "err"},
            {"name": "r", "type": "recording", "health": "ok"},
        ]
    }
    loki = {"patterns.yaml": [{"name": "g", "rules": [{"alert": "A"}, {"record": "r"}, {"record": "s"}]}]}
    words = rules(Answers(prometheus={"data": {"groups": [group]}}, loki=loki))  # type: ignore[arg-type]
    assert words == {
        "prometheus": "2 alerts and 1 recording rules in 1 groups; FAILING: bad",
        "loki": "1 alerts and 2 recording rules in 1 groups",
    }
    assert rules(Answers(prometheus={"data": {"groups": []}}, loki=None))["loki"].startswith("0 alerts")  # type: ignore[arg-type]


def test_firing_alerts_are_named_once() -> None:
    alerts = [{"labels": {"alertname": name}} for name in ("B", "A", "B")]
    assert firing(Answers(alertmanager=alerts)) == ["A", "B (2)"]  # type: ignore[arg-type]


@pytest.mark.parametrize(("stack", "said"), [("dev", ""), ("lab", " STACK=lab")])
def test_the_page_says_what_a_person_needs(capsys: pytest.CaptureFixture[str], stack: str, said: str) -> None:
    urls = {"prometheus": "http://127.0.0.1:9090", "inbox": "http://127.0.0.1:8025"}
    loaded = {"prometheus": "2 alerts"}
    show(Page(stack, "kubectl", [("a:1", "local build", 1)], ["No GPU is here."], urls, loaded, ["A"], "observing"))
    text = capsys.readouterr().err
    for words in ("a:1", "local build", "No GPU is here.", "http://127.0.0.1:9090", "2 alerts", "Alerts now: A"):
        assert words in text
    for command in (f"logs{said} QUERY='{{namespace=\"observing\"}}'", f"inbox{said}", f"fire{said}", f"down{said}"):
        assert f"make {command}" in text


def test_a_page_of_fake_nodes_has_no_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    show(Page("dev", "kubectl"))
    assert "127.0.0.1" not in capsys.readouterr().err


def test_the_operators_images_are_among_those_needed() -> None:
    reloader = {"args": ["--x", "--prometheus-config-reloader=r:1"], "image": "o:1"}
    objects: list[dict[str, Any]] = [
        {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [reloader]}}}},
        {"kind": "Prometheus", "spec": {"image": "p:1"}},
        {"kind": "CustomResourceDefinition", "spec": {"properties": {"image": {"type": "string"}}}},
        {"kind": "Deployment", "spec": {"containers": [{"image": "o:1"}]}},
    ]
    assert needed(objects) == ["r:1", "o:1", "p:1"]


def test_the_page_of_fake_nodes_offers_nothing_that_no_container_answers(capsys: pytest.CaptureFixture[str]) -> None:
    show(Page("dev", "kubectl"))
    text = capsys.readouterr().err
    assert "Fake nodes only: the objects are there, and no container runs." in text
    assert "make down" in text
    for command in ("make logs", "make inbox", "make fire"):
        assert command not in text
