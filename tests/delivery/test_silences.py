"""Silences of a stack file: brought to a real Alertmanager by the Job's own script, and taken away again."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from components.silences import script, warn
from settings.reader import secret_keys
from settings.routing import Silence
from tools.binaries import find
from tools.console import UserError
from tools.ports import free_ports
from tools.silences import main
from tools.synth import ROOT, stack_config, synthesize

from . import processes, stacks
from .daemons import Alertmanager, alert, wait_for
from .sinks import HttpSink

CONFIG = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
TODAY = datetime.now(UTC).date()
"""A silence ends with its day in UTC, wherever this runs."""


def silence(days: int = 30, **changes: Any) -> dict[str, Any]:
    return {
        "matchers": ["alertname=PodPending", 'namespace=~"batch-.*"'],
        "reason": 'nodes come with the next order; see the plan\'s "page" 7',
        "author": "ada",
        "until": (TODAY + timedelta(days=days)).isoformat(),
        **changes,
    }


def model(**changes: Any) -> Silence:
    return Silence.model_validate(silence(**changes))


def run(text: str, url: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as the Job's container does."""
    environment = {"PATH": f"{find('amtool').parent}:{os.environ['PATH']}", "URL": url, "HOME": str(home)}
    return subprocess.run(["/bin/sh", "-c", text], env=environment, capture_output=True, text=True, check=False)


def apply(alertmanager: Alertmanager, silences: list[Silence]) -> list[dict[str, Any]]:
    """Run the Job's script, and return what is then in force."""
    result = run(script(silences), alertmanager.url, alertmanager.folder)
    assert result.returncode == 0, result.stderr
    return [found for found in alertmanager.get("silences") if found["status"]["state"] != "expired"]


def test_they_come_stay_change_and_go(start: Callable[..., Alertmanager]) -> None:
    alertmanager = start(CONFIG)
    [first] = apply(alertmanager, [model()])
    assert first["createdBy"] == "ada"
    assert first["comment"].startswith('nodes come with the next order; see the plan\'s "page" 7 [stack ')
    assert first["endsAt"].startswith(f"{TODAY + timedelta(days=30)}T23:59:59")
    assert {(m["name"], m["value"], m["isRegex"]) for m in first["matchers"]} == {
        ("alertname", "PodPending", False),
        ("namespace", "batch-.*", True),
    }
    assert [found["id"] for found in apply(alertmanager, [model()])] == [first["id"]]
    both = apply(alertmanager, [model(), model(author="bob", since=(TODAY + timedelta(days=2)).isoformat())])
    assert {found["status"]["state"] for found in both} == {"active", "pending"}
    [changed] = apply(alertmanager, [model(days=20)])
    assert changed["id"] != first["id"]
    assert apply(alertmanager, []) == []


def test_the_job_fails_and_comes_again_while_nobody_answers(tmp_path: Path) -> None:
    [port] = free_ports(1)
    assert run(script([]), f"http://127.0.0.1:{port}", tmp_path).returncode != 0


def test_silences_of_people_are_left_alone(start: Callable[..., Alertmanager]) -> None:
    alertmanager = start(CONFIG)
    options = [f"--alertmanager.url={alertmanager.url}", "--author=eve", "--comment=mine [stack me]", "alertname=X"]
    subprocess.run([str(find("amtool")), "silence", "add", *options], check=True, capture_output=True)
    apply(alertmanager, [model()])
    assert [found["createdBy"] for found in apply(alertmanager, [])] == ["eve"]


def test_a_silence_mutes_what_it_matches(start: Callable[..., Alertmanager]) -> None:
    alertmanager = start(CONFIG)
    apply(alertmanager, [model()])
    alertmanager.push([alert("PodPending", namespace="batch-1"), alert("PodPending", namespace="shop")])
    muted = {found["labels"]["namespace"]: bool(found["status"]["silencedBy"]) for found in alertmanager.get("alerts")}
    assert muted == {"batch-1": True, "shop": False}


def test_a_lapsed_one_is_left_out_with_a_warning(start: Callable[..., Alertmanager]) -> None:
    alertmanager = start(CONFIG)
    lapsed = model(days=-1)
    assert [found["createdBy"] for found in apply(alertmanager, [lapsed, model(author="bob")])] == ["bob"]
    [sentence] = warn([lapsed, model()])
    assert f"by ada ended {TODAY - timedelta(days=1)} and is left out" in sentence


@pytest.mark.parametrize(("days", "fails"), [(-1, True), (5, False)])
def test_a_pull_request_fails_for_a_lapsed_one(days: int, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.silences.stack_settings", lambda _: stacks.settings(silences=[silence(days)]))
    monkeypatch.setattr("sys.argv", ["silences", "--stack", "prod", "--check"])
    if fails:
        with pytest.raises(UserError, match=r"ended .* and is left out"):
            main()
    else:
        main()


@pytest.mark.parametrize("stack", stacks.STACKS)
def test_no_stack_file_has_a_lapsed_one(stack: str) -> None:
    assert warn(stacks.shipped(stack).alertmanager.silences or []) == []


def deploy(urls: list[str], silences: list[dict[str, Any]], home: Path) -> dict[str, dict[str, Any]]:
    """Run the container of the Job that prod has with these silences, against the first address.

    Returns what is then in force, by author, once all replicas tell the same.
    """
    config = stack_config(ROOT / "Pulumi.prod.yaml")
    config["observability:alertmanager"]["silences"] = silences
    secrets = dict.fromkeys(secret_keys(stacks.shipped("prod")), "unused")
    [job] = synthesize("prod", config, secrets=secrets).of_type(":Job")
    [container] = job.inputs["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "URL", "value": "http://alertmanager.monitoring.svc.cluster.local:9093"}]
    shell, option, text = container["command"]
    assert (shell, option) == ("/bin/sh", "-c")
    done = run(text, urls[0], home)
    assert done.returncode == 0, done.stderr

    def same() -> list[dict[str, dict[str, Any]]]:
        found = [in_force(url) for url in urls]
        return found[:1] if all(one == found[0] for one in found) else []

    return wait_for("the replicas do not agree", same)[0]


def in_force(url: str) -> dict[str, dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v2/silences", timeout=60) as answer:
        found = json.load(answer)
    return {one["createdBy"]: one for one in found if one["status"]["state"] != "expired"}


def test_the_job_of_prod_on_three_replicas(tmp_path: Path, sink: HttpSink) -> None:
    chosen = processes.settings(prometheus=1, loki=1, alertmanager=3)
    secrets = dict.fromkeys(secret_keys(chosen.alertmanager), sink.url)
    replicas = processes.alertmanagers(tmp_path, chosen, secrets, sink, free_ports(3))
    try:
        for replica in replicas:
            replica.start()
        urls = [replica.url for replica in replicas]
        wait_for("not joined", lambda: all(len(one.get("status")["cluster"]["peers"]) == 3 for one in replicas))
        first = deploy(urls, [silence()], tmp_path)["ada"]
        both = deploy(urls[::-1], [silence(), silence(author="bob")], tmp_path)
        assert both["ada"]["id"] == first["id"]
        assert deploy(urls, [silence(days=20)], tmp_path)["ada"]["id"] != first["id"]
        assert deploy(urls[1:], [], tmp_path) == {}
    finally:
        for replica in replicas:
            replica.stop()


def job_names(silences: list[dict[str, Any]] | None) -> list[str]:
    sections: dict[str, Any] = {
        "cluster": {"name": "t", "distribution": "kubeadm"},
        "alertmanager": {"heartbeat": "none"},
    }
    if silences is not None:
        sections["alertmanager"]["silences"] = silences
    program = synthesize("test", {f"observability:{key}": value for key, value in sections.items()})
    return [job.inputs["metadata"]["name"] for job in program.of_type(":Job")]


def test_the_job_is_new_whenever_the_silences_are() -> None:
    assert job_names(None) == []
    [none], [one], [lapsed] = job_names([]), job_names([silence()]), job_names([silence(-1)])
    assert len({none, one}) == 2
    assert lapsed == none


def test_nothing_in_a_silence_is_a_command(tmp_path: Path, start: Callable[..., Alertmanager]) -> None:
    alertmanager = start(CONFIG)
    bad = f"$(touch {tmp_path}/ran) `touch {tmp_path}/ran` ' ; touch {tmp_path}/ran #"
    [found] = apply(alertmanager, [model(reason=bad, author=bad)])
    assert found["createdBy"] == bad
    assert not (tmp_path / "ran").exists()
