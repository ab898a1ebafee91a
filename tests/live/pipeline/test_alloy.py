"""Alloy's configurations as they ship, loaded by a real Alloy; only API server and password file are others."""

import subprocess
from pathlib import Path

import pytest
import yaml

from components import alloy_config
from components.log_agent_client import MAX_BACKOFF
from settings import Settings
from tools import binaries
from tools.faults.agents import Agent
from tools.faults.daemons import LOCAL
from tools.ports import free_ports
from tools.rules import stack_settings

EVERYTHING = {
    "program": "alloy",
    "maskSecrets": True,
    "mask": [r"card \d+"],
    "multiline": [{"app": "web", "firstLine": r"^\d{4}-"}],
    "drop": [{"namespace": "shop", "matching": r"GET \"/healthz\""}],
    "keep": [{"container": "web", "matching": r"\d+"}],
}
ENVIRONMENT = {"NODE_NAME": "node-1", "HOSTNAME": "node-1"}


def everything() -> Settings:
    plain = stack_settings("dev")
    return plain.model_copy(update={"log_agent": type(plain.log_agent).model_validate(EVERYTHING)})


def write(content: str, folder: Path) -> Path:
    """The configuration with an API server that is not there, and a password that is."""
    kubeconfig, password, file = folder / "kubeconfig", folder / "password", folder / "config.alloy"
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "c", "context": {"cluster": "c", "user": ""}}
    kubeconfig.write_text(yaml.safe_dump({"clusters": [cluster], "contexts": [context], "current-context": "c"}))
    password.write_text("x")
    discovery = 'discovery.kubernetes "pods" {\n'
    assert discovery in content
    content = content.replace(discovery, f'{discovery}  kubeconfig_file = "{kubeconfig}"\n')
    assert alloy_config.PASSWORD_FILE in content
    file.write_text(content.replace(alloy_config.PASSWORD_FILE, str(password)))
    return file


def command(file: Path, port: int) -> list[str]:
    options = [f"--storage.path={file.parent}", f"--server.http.listen-addr={LOCAL}:{port}", "--disable-reporting"]
    return [str(binaries.find("alloy")), "run", str(file), *options]


@pytest.mark.parametrize("settings", [stack_settings("dev"), stack_settings("prod"), everything()])
def test_configurations_are_accepted(settings: Settings, tmp_path: Path) -> None:
    [port] = free_ports(1)
    file = write(alloy_config.config(settings), tmp_path)
    alloy = Agent("Alloy", command(file, port), tmp_path / "log", port, ENVIRONMENT, "/-/ready")
    try:
        alloy.start().ready()
    finally:
        alloy.end()


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("batch_wait", "batch_wayt", "batch_wayt"),
        ("loki.process.pods.receiver", "loki.process.pod.receiver", "pod.receiver"),
        ("stage.label_keep", "stage.labelallow", "labelallow"),
        ('"spec.nodeName="', '"spec.nodeName=', "expected TERMINATOR"),
        (f'"{MAX_BACKOFF}"', '"30"', "missing unit"),
        (r"^\\d{4}-", r"(?=x)", "invalid or unsupported Perl syntax"),
    ],
)
def test_mistakes_are_refused(right: str, wrong: str, said: str, tmp_path: Path) -> None:
    content = alloy_config.config(everything())
    assert right in content
    file = write(content.replace(right, wrong, 1), tmp_path)
    result = subprocess.run(
        command(file, free_ports(1)[0]), capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=300
    )
    assert result.returncode == 1
    assert said in result.stderr
