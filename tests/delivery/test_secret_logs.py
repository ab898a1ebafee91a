"""A receiver that fails must not bring its secret into Alertmanager's log, its arguments, or what its API tells."""

import re
from pathlib import Path
from typing import Any

import pytest

from components.log_agent_stages import pod_stages
from settings.log_agent import LogAgentSettings
from tests.security.canaries import hits, planted
from tools.ports import free_ports

from . import stacks
from .conftest import Start
from .daemons import Alertmanager, alert, wait_for
from .services import POD, SECRETS, TEXTS, channels, led_to
from .sinks import Answer, HttpSink, Request

KEYS = [*SECRETS, *(f"{name}Url" for name in ("hook", "slack", "msteams", "discord"))]
PLANTED = {key: planted(key) for key in KEYS}


def refusing(_request: Request) -> Answer:
    """A service that says no, and repeats what it was sent, as some do."""
    return 500, {"ok": False, "error": "no", "path": "this service failed"}


def configured(folder: Path, url: str, smtp: int) -> dict[str, Any]:
    secrets = {key: value if key in SECRETS else f"{url}/{value}" for key, value in PLANTED.items()}
    every = channels(url, smtp)
    chosen = stacks.settings(receivers={"all": every}, routes={"critical": "all"})
    config = led_to(url, stacks.rendered(chosen, folder, secrets))
    stacks.quick(config["route"], group_wait="100ms", group_interval="1s")
    return config


INTEGRATIONS = {"webhook", "slack", "telegram", "pagerduty", "opsgenie", "msteamsv2", "discord", "jira", "email"}


def failures(alertmanager: Alertmanager) -> set[str]:
    """Integrations of which the log says that they failed."""
    log = alertmanager.log()
    return {name for name in INTEGRATIONS if f"integration={name}[" in log or f"all/{name}[" in log}


@pytest.mark.parametrize("how", ["refused", "answers 500"])
def test_failures_tell_no_secret(start: Start, sink: HttpSink, tmp_path: Path, how: str) -> None:
    nobody = free_ports(1)[0]
    sink.answer = refusing
    url = sink.url if how == "answers 500" else f"http://127.0.0.1:{nobody}"
    alertmanager = start(configured(tmp_path, url, nobody), "--log.level=debug")
    alertmanager.push([alert("PodCrashLooping", annotations=TEXTS, **POD)])
    wait_for("not every receiver failed", lambda: failures(alertmanager) >= INTEGRATIONS)
    assert alertmanager.process
    log = alertmanager.log()
    told = {
        "arguments": Path(f"/proc/{alertmanager.process.pid}/cmdline").read_bytes(),
        "status": alertmanager.get("status"),
        "alerts": alertmanager.get("alerts"),
        "log that leaves the node": masked(log).encode(),
    }
    found = {where: hits(content, PLANTED) for where, content in told.items()}
    print(f"{how}: {len(PLANTED)} secrets planted, {len(log)} bytes of log, found: {found}")
    assert not any(found.values()), found
    # What a person sees by `kubectl logs` only: Alertmanager itself writes the address with the token in it.
    assert hits(log.encode(), PLANTED) <= {"telegramToken"}


def masked(log: str) -> str:
    """The log after the stage that both log agents have for Alertmanager's streams."""
    [stage] = [
        inner["replace"]
        for stage in pod_stages(LogAgentSettings())
        if stage.get("match", {}).get("selector") == '{app="alertmanager"}'
        for inner in stage["match"]["stages"]
    ]
    return re.sub(stage["expression"], lambda match: match[0].replace(match[1], stage["replace"]), log)
