"""Secrets of the local cluster: what is made in the place of those that a stack file does not hold."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components import central_logs, remote_write
from settings.certificates import are_certificates
from settings.reader import PROJECT
from tools import rules, up
from tools.apply import LocalSecrets
from tools.render import report
from tools.synth import ROOT, stack_config

HUB = "https://hub.example.com"
SPOKE: dict[str, Any] = {
    "prometheus": {"remoteWrite": [{"name": "far", "url": f"{HUB}/write", "caSecret": "hubCa"}]},
    "centralLogs": {"url": HUB, "passwordSecret": "hubLogs", "caSecret": "logsCa"},
}


class Fake:
    mode = "fake"


def test_a_spoke_whose_certificates_are_not_set_goes_onto_the_local_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {f"{PROJECT}:{name}": section for name, section in SPOKE.items()}
    config = stack_config(ROOT / "Pulumi.dev.yaml") | changed
    (tmp_path / "Pulumi.spoke.yaml").write_text(yaml.safe_dump({"config": config}))
    monkeypatch.setattr(up, "ROOT", tmp_path)
    monkeypatch.setattr(rules, "ROOT", tmp_path)
    kept = tmp_path / "secrets.json"
    rendered, _ = up._rendered("spoke", Fake(), LocalSecrets(kept))  # type: ignore[arg-type]
    secrets = {item["metadata"]["name"]: item["stringData"] for item in rendered.objects if item["kind"] == "Secret"}
    certificate = secrets[remote_write.SECRET]["hubCa"]
    assert are_certificates(certificate)
    [central] = [data for name, data in secrets.items() if central_logs.CA_KEY in data]
    assert are_certificates(central[central_logs.CA_KEY])
    assert central["password"] == "local-hubLogs"
    # The next `make up` changes nothing.
    assert LocalSecrets(kept).certificate("hubCa") == certificate
    report(rendered)
    said = capsys.readouterr().err
    assert "does not hold yet" in said
    for key in ("hubCa", "logsCa"):
        assert f"The secret {key} is not set. A certificate made here" in said.replace("\n", " ")
