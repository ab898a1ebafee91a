"""Every rendered configuration is accepted by the daemon that reads it."""

import re
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from components import alertmanager_config, blackbox_config, loki_config, promtail_config
from components.alertmanager import TEMPLATES_FOLDER
from settings import Settings
from tools.binaries import find
from tools.rules import stack_settings
from tools.synth import ROOT

TEMPLATES = ROOT / "components" / "templates"
STORAGE = {
    "filesystem": {"type": "filesystem"},
    "s3": {"type": "s3", "bucket": "logs", "region": "eu-central-1"},
    "s3-keys": {
        "type": "s3",
        "bucket": "logs",
        "region": "x",
        "endpoint": "https://minio.example.com",
        "accessKeyIdSecret": "a",
        "secretAccessKeySecret": "b",
    },
    "gcs": {"type": "gcs", "bucket": "logs"},
    "azure": {"type": "azure", "account": "logs", "container": "loki"},
    "azure-key": {"type": "azure", "account": "logs", "container": "loki", "accountKeySecret": "a"},
}


@pytest.fixture(params=["dev", "prod"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return stack_settings(request.param)


def check(*command: str | Path, env: dict[str, str] | None = None) -> str:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def write(folder: Path, content: object) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def verify_loki(config: object, folder: Path) -> None:
    credentials = {"S3_ACCESS_KEY_ID": "a", "S3_SECRET_ACCESS_KEY": "b", "AZURE_ACCOUNT_KEY": "Yw=="}
    env = {"POD_IP": "127.0.0.1", **credentials}
    check(find("loki"), f"-config.file={write(folder, config)}", "-config.expand-env=true", "-verify-config", env=env)


def test_loki(settings: Settings, tmp_path: Path) -> None:
    verify_loki(loki_config.config(settings), tmp_path)


@pytest.mark.parametrize("storage", STORAGE.values(), ids=STORAGE.keys())
def test_loki_storage(storage: dict[str, str], tmp_path: Path) -> None:
    settings = stack_settings("dev")
    loki = type(settings.loki).model_validate({"storage": storage})
    verify_loki(loki_config.config(settings.model_copy(update={"loki": loki})), tmp_path)


def test_loki_refuses_nonsense(tmp_path: Path) -> None:
    config = loki_config.config(stack_settings("dev")) | {"rular": {}}
    with pytest.raises(AssertionError, match="rular"):
        verify_loki(config, tmp_path)


def test_alertmanager(settings: Settings, tmp_path: Path) -> None:
    config = alertmanager_config.config(settings) | {"templates": [f"{TEMPLATES}/*.tmpl"]}
    said = check(find("amtool"), "check-config", write(tmp_path, config), "--enable-feature=utf8-strict-mode")
    assert "1 templates" in said
    assert TEMPLATES_FOLDER.endswith("-templates")


def test_blackbox(settings: Settings, tmp_path: Path) -> None:
    config = blackbox_config.config(settings.blackbox)
    check(find("blackbox_exporter"), f"--config.file={write(tmp_path, config)}", "--config.check")


def promtail_says(config: dict[str, object], folder: Path, wanted: str, environment: dict[str, str]) -> str:
    """What Promtail says until a line holds `wanted`, or until it ends. Its -check-syntax accepts nonsense."""
    file = folder / "config.yaml"
    file.write_text(promtail_config.text(config))
    command = [str(find("promtail")), f"-config.file={file}", "-config.expand-env=true", "-dry-run"]
    said = ""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        guard = threading.Timer(300, process.kill)
        guard.start()
        assert process.stdout
        for line in process.stdout:
            said += line
            if wanted in line:
                break
        process.kill()
        guard.cancel()
    return said


def promtail_outside_a_cluster(settings: Settings, folder: Path) -> dict[str, object]:
    """The rendered configuration with paths of this test; discovery needs an API server, so it gets an empty one."""
    config = promtail_config.config(settings)
    kubeconfig = folder / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "c", "context": {"cluster": "c", "user": ""}}
    kubeconfig.write_text(yaml.safe_dump({"clusters": [cluster], "contexts": [context], "current-context": "c"}))
    password = folder / "password"
    password.write_text("x")
    config["server"]["http_listen_port"] = 0
    config["positions"]["filename"] = str(folder / "positions.yaml")
    config["clients"][0]["basic_auth"]["password_file"] = str(password)
    for scrape in config["scrape_configs"]:
        for discovery in scrape.get("kubernetes_sd_configs", []):
            discovery["kubeconfig_file"] = str(kubeconfig)
    return config


def test_promtail_starts(settings: Settings, tmp_path: Path) -> None:
    config = promtail_outside_a_cluster(settings, tmp_path)
    said = promtail_says(config, tmp_path, "Starting Promtail", {"HOSTNAME": "node-1", "NODE_NAME": "node-1"})
    assert re.search(r'msg="Starting Promtail"', said), said


def test_promtail_refuses_nonsense(settings: Settings, tmp_path: Path) -> None:
    config = promtail_outside_a_cluster(settings, tmp_path) | {"positons": {}}
    said = promtail_says(config, tmp_path, "Starting Promtail", {"HOSTNAME": "node-1", "NODE_NAME": "node-1"})
    assert "positons" in said
