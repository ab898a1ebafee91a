"""Alloy's configurations, read by Alloy's own parser and decoded into the arguments of each component."""

import subprocess
from pathlib import Path

import pytest

from components import alloy_config, event_exporter_config
from settings import Settings
from tools.binaries import find
from tools.rules import stack_settings

EVERYTHING = {
    "program": "alloy",
    "maskSecrets": True,
    "mask": [r"card \d+"],
    "multiline": [{"app": "web", "firstLine": r"^\d{4}-"}],
    "drop": [{"namespace": "shop", "matching": r"GET \"/healthz\""}],
    "keep": [{"container": "web", "matching": r"\d+"}],
}


def everything() -> Settings:
    plain = stack_settings("dev")
    return plain.model_copy(update={"log_agent": type(plain.log_agent).model_validate(EVERYTHING)})


def check(content: str, folder: Path) -> str:
    file = folder / "config.alloy"
    file.write_text(content)
    result = subprocess.run([find("alloy-check"), file], capture_output=True, text=True, check=False)
    assert (result.returncode == 0) == (result.stderr == "")
    return result.stderr


@pytest.mark.parametrize("settings", [stack_settings("dev"), stack_settings("prod"), everything()])
def test_configurations_are_accepted(settings: Settings, tmp_path: Path) -> None:
    assert check(alloy_config.config(settings), tmp_path) == ""
    assert check(event_exporter_config.config(settings), tmp_path) == ""


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("batch_wait", "batch_wayt", "batch_wayt"),
        ("loki.process.pods.receiver", "loki.process.pod.receiver", "pod"),
        ("stage.label_keep", "stage.labelallow", "labelallow"),
        ('"spec.nodeName="', '"spec.nodeName=', "config.alloy"),
    ],
)
def test_mistakes_are_refused(right: str, wrong: str, said: str, tmp_path: Path) -> None:
    content = alloy_config.config(everything())
    assert right in content
    assert said in check(content.replace(right, wrong, 1), tmp_path)
