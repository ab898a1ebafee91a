"""A `caSecret` that is no certificate is refused by the program, with its key and without its text."""

import base64
from typing import Any

import pytest

from settings import SettingsError
from settings.certificates import are_certificates
from settings.reader import PROJECT
from tests.security.canaries import certificate, planted
from tools.synth import placeholder, synthesize

PEM = "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n"
JUNK = base64.b64encode(planted("hubCa").encode()).decode()
REMOTE = {"remoteWrite": [{"name": "far", "url": "https://hub.example.com/write", "caSecret": "hubCa"}]}
CENTRAL = {"url": "https://logs.example.com", "passwordSecret": "hubLogs", "caSecret": "hubCa"}


@pytest.mark.parametrize("text", [certificate(), f"# é\n{certificate()}and\n{certificate()}"])
def test_certificates(text: str) -> None:
    assert are_certificates(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        planted("hubCa"),
        certificate().replace("-----END CERTIFICATE-----", ""),
        PEM.format("CERTIFICATE", JUNK),
        PEM.format("CERTIFICATE", "é"),
        PEM.format("CERTIFICATE", ""),
        certificate() + PEM.format("CERTIFICATE", JUNK),
        certificate() + PEM.format("PRIVATE KEY", JUNK),
    ],
)
def test_what_is_none(text: str) -> None:
    assert not are_certificates(text)


@pytest.mark.parametrize("sections", [{"prometheus": REMOTE}, {"centralLogs": CENTRAL}])
def test_the_program_names_it_and_does_not_show_it(sections: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    sections |= {"cluster": {"name": "edge", "distribution": "k3s"}, "alertmanager": {"heartbeat": "none"}}
    config = {f"{PROJECT}:{key}": value for key, value in sections.items()}
    others = {"hubLogs": "canary"} if "centralLogs" in sections else {}
    for text in (certificate(), placeholder("hubCa")):
        synthesize("edge", config, secrets=others | {"hubCa": text})
    for text in (planted("hubCa"), placeholder("other")):
        with pytest.raises(SettingsError, match=r"Pulumi\.edge\.yaml: observability:hubCa is no ") as error:
            synthesize("edge", config, secrets=others | {"hubCa": text})
        assert text not in str(error.value)
    seen = capfd.readouterr()
    assert "Traceback" not in seen.err
