"""The inbox takes what Alertmanager sends by webhook, mail and Telegram, and keeps it."""

import json
import smtplib
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import parse
from settings.channels import Email, Telegram
from settings.reader import PROJECT
from tools.inbox import smtp, web
from tools.inbox.local import HOST
from tools.inbox.messages import Inbox
from tools.inbox.redirect import redirected, redirected_config
from tools.synth import ROOT, stack_config

WEBHOOK = {
    "version": "4",
    "status": "firing",
    "commonLabels": {"alertname": "DiskSpaceLow", "severity": "warning"},
    "alerts": [
        {
            "status": "firing",
            "startsAt": "2030-01-01T00:00:00Z",
            "labels": {"alertname": "DiskSpaceLow", "severity": "warning", "node": "n1"},
            "annotations": {"summary": "Disk of n1 is filling up", "runbook_url": "https://example.org/DiskSpaceLow"},
        }
    ],
}


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "messages")


@pytest.fixture
def url(inbox: Inbox) -> Iterator[str]:
    server = web.Server(("127.0.0.1", 0), inbox)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def mail_port(inbox: Inbox) -> Iterator[int]:
    server = smtp.Server(("127.0.0.1", 0), inbox)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()


def post(url: str, content: Any) -> Any:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=10) as answer:
        return json.load(answer)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def test_a_webhook_becomes_a_readable_message(inbox: Inbox, url: str) -> None:
    assert post(f"{url}/webhook/on-call", WEBHOOK) == {"ok": True}
    [message] = get(f"{url}/messages?after=0")["messages"]
    assert message["title"] == "[FIRING:1] DiskSpaceLow"
    assert message["to"] == "on-call"
    assert message["text"].splitlines() == [
        "Disk of n1 is filling up",
        "node=n1, severity=warning",
        "https://example.org/DiskSpaceLow",
    ]
    assert message["alerts"][0]["labels"]["node"] == "n1"
    assert get(f"{url}/messages?after={message['number']}")["messages"] == []


def test_a_telegram_message_is_answered_as_the_bot_api_does(inbox: Inbox, url: str) -> None:
    answer = post(f"{url}/bot123:abc/sendMessage", {"chat_id": "-5", "text": "a text"})
    assert (answer["ok"], answer["result"]["chat"]["id"]) == (True, -5)
    [message] = inbox.after(0)["messages"]
    assert (message["channel"], message["to"], message["text"]) == ("telegram", "chat -5", "a text")


def test_telegram_html_is_shown_as_a_person_reads_it() -> None:
    text = '<b>[CRITICAL] a &lt; b</b>\n<a href="https://example.org/x">Runbook</a>'
    assert web.plain(text) == "[CRITICAL] a < b\nRunbook: https://example.org/x"


def test_heartbeats_are_counted_and_not_listed(inbox: Inbox, url: str) -> None:
    for name in ("heartbeat", "logsHeartbeat", "heartbeat"):
        post(f"{url}/webhook/{name}", WEBHOOK)
    state = get(f"{url}/messages")
    assert state["messages"] == []
    assert {name: beat["count"] for name, beat in state["heartbeats"].items()} == {"heartbeat": 2, "logsHeartbeat": 1}
    assert all(beat["last"] > 0 for beat in state["heartbeats"].values())


def test_a_mail_is_taken_with_its_subject_and_dots(inbox: Inbox, mail_port: int) -> None:
    with smtplib.SMTP("127.0.0.1", mail_port) as mail:
        text = "Subject: Disk =?utf-8?q?f=C3=BCllt?=\r\n\r\nfirst\r\n.second\r\n"
        mail.sendmail("from@example.org", ["a@example.org", "b@example.org"], text)
    [message] = inbox.after(0)["messages"]
    assert message["title"] == "Disk füllt"
    assert message["to"] == "a@example.org, b@example.org"
    assert message["text"].splitlines() == ["first", ".second"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"alerts": 1}', b"\xff"])
def test_what_is_no_message_is_refused(inbox: Inbox, url: str, body: bytes) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"{url}/webhook/on-call", body)
    assert refused.value.code == 400
    assert inbox.after(0)["messages"] == []


def test_messages_outlive_the_inbox(tmp_path: Path) -> None:
    Inbox(tmp_path / "messages").add("email", "a@example.org", "first", "text")
    again = Inbox(tmp_path / "messages")
    again.add("email", "a@example.org", "second", "text")
    assert [(m["number"], m["title"]) for m in again.after(0)["messages"]] == [(1, "first"), (2, "second")]


def test_a_waiting_reader_gets_the_message_at_once(inbox: Inbox) -> None:
    got: list[Any] = []
    reader = threading.Thread(target=lambda: got.append(inbox.after(0, seconds=60)))
    reader.start()
    inbox.add("webhook", "on-call", "title", "text")
    reader.join(timeout=30)
    assert [message["title"] for message in got[0]["messages"]] == ["title"]


def test_other_json_is_shown_as_it_is(inbox: Inbox, url: str) -> None:
    post(f"{url}/webhook/opsgenie/v2/alerts", {"message": "Disk is full"})
    [message] = inbox.after(0)["messages"]
    assert message["to"] == "opsgenie"
    assert "Disk is full" in message["text"]


def test_every_channel_is_led_to_the_inbox() -> None:
    channels = {
        "email_configs": [{"smarthost": "smtp.example.org:587", "require_tls": True, "to": "a@example.org"}],
        "telegram_configs": [{"chat_id": 1}],
        "webhook_configs": [{"url": "https://example.org"}, {"url_file": "/a/file"}],
    }
    config = {"route": {"receiver": "team"}, "receivers": [{"name": "team", **channels}]}
    secret = {
        "kind": "Secret",
        "metadata": {"name": "alertmanager-config"},
        "stringData": {"alertmanager.yaml": yaml.safe_dump(config)},
    }
    other = {"kind": "Secret", "metadata": {"name": "other"}, "stringData": {"alertmanager.yaml": "as it is"}}
    changed, same = redirected([secret, other])
    result = yaml.safe_load(changed["stringData"]["alertmanager.yaml"])
    assert same == other
    assert result["route"] == config["route"]
    text = json.dumps(result)
    assert "example.org:587" not in text
    assert "https://example.org" not in text
    assert result["receivers"][0]["email_configs"][0]["to"] == "a@example.org"
    assert result["receivers"][0]["webhook_configs"][1] == {"url_file": "/a/file"}


def test_the_engine_gets_a_configuration_whose_channels_lead_to_the_inbox() -> None:
    config = stack_config(ROOT / "Pulumi.dev.yaml")
    changed = redirected_config(config)
    sections = {key.removeprefix(f"{PROJECT}:"): value for key, value in changed.items()}
    settings = parse(sections, "Pulumi.dev.yaml", check_secrets=False)
    channels = [channel for found in settings.alertmanager.receivers.values() for channel in found]
    [telegram] = [channel for channel in channels if isinstance(channel, Telegram)]
    [mail] = [channel for channel in channels if isinstance(channel, Email)]
    assert telegram.api_url == f"http://{HOST}:8025"
    assert (mail.server, mail.require_tls) == (f"{HOST}:1025", False)
    assert {key for key in changed if changed[key] != config[key]} == {f"{PROJECT}:alertmanager"}
    assert "example.org" in json.dumps(config), "the configuration that was given is not changed"
