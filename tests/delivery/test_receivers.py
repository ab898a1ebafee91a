"""Every kind of receiver, delivered by a real Alertmanager to a service that speaks its protocol."""

import email
import email.policy
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
import yaml

from settings.channels import Channel
from tools.binaries import find

from . import stacks
from .daemons import Alertmanager, alert, wait_for
from .services import POD, SECRETS, TEXTS, TITLE, Services, channels, configured
from .sinks import Answer, HttpSink, Request, SmtpSink

KINDS = get_args(get_args(Channel)[0])
PATHS = (
    "/bot",
    "/slack",
    "/pagerduty",
    "/opsgenie",
    "/msteams",
    "/discord",
    "/hook",
    "/github",
    "/jira/rest/api/2/issue",
)


@dataclass
class Delivered:
    """What arrived: first of the firing, then of the resolved group."""

    http: HttpSink
    smtp: SmtpSink
    alertmanager: Alertmanager

    def one(self, path: str, resolved: bool = False, method: str = "POST") -> Request:
        """The request to this path about the firing or the resolved group, once it is there."""
        return wait_for(f"nothing arrived at {path}", lambda: self._found(path, resolved, method))[0]

    def _found(self, path: str, resolved: bool, method: str) -> list[Request]:
        requests = [request for request in self.http.to(path) if request.method == method]
        return requests[1:] if resolved else requests


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    folder = tmp_path_factory.mktemp("receivers")
    http, smtp = HttpSink(), SmtpSink(folder)
    http.answer = Services()
    chosen = stacks.settings(receivers={"all": channels(http.url, smtp.port)}, routes={"critical": "all"})
    alertmanager = Alertmanager(folder, configured(chosen, folder, http.url, smtp))
    try:
        alertmanager.start()
        firing = alert("PodCrashLooping", annotations=TEXTS, **POD)
        alertmanager.push([firing])
        for path in PATHS:
            wait_for(f"nothing arrived at {path}: {alertmanager.log()[-1500:]}", partial(http.to, path))
        wait_for("no mail", lambda: smtp.mails)
        alertmanager.push([{**firing, "endsAt": firing["startsAt"]}])
        yield Delivered(http, smtp, alertmanager)
    finally:
        alertmanager.stop()
        http.close()
        smtp.close()


def links(text: str) -> set[str]:
    return {
        word for word in ("runbooks.example.com", "/d/kubernetes-failures", "/explore", "/silences/new") if word in text
    }


def test_amtool_accepts_every_kind(tmp_path: Path) -> None:
    every = channels("https://example.com", 587)
    assert {channel["kind"] for channel in every} == {
        get_args(kind.model_fields["kind"].annotation)[0] for kind in KINDS
    }
    chosen = stacks.settings(receivers={"all": every}, routes={"critical": "all"})
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(stacks.rendered(chosen, tmp_path)))
    command = [str(find("amtool")), "check-config", str(file), "--enable-feature=utf8-strict-mode"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    text = file.read_text()
    assert not [key for key in SECRETS if f"{key}-value" in text]


def test_webhook(delivered: Delivered) -> None:
    request = delivered.one("/hook")
    assert request.headers["Authorization"] == "Bearer hookToken-value"
    assert request.body["version"] == "4"
    assert request.body["alerts"][0]["labels"]["pod"] == "web-1"
    assert delivered.one("/hook", resolved=True).body["status"] == "resolved"


def test_slack(delivered: Delivered) -> None:
    body = delivered.one("/slack").body
    [attachment] = body["attachments"]
    assert body["channel"] == "#alerts"
    assert attachment["title"] == attachment["fallback"] == TITLE
    assert attachment["color"] == "danger"
    assert "has crashed 7 times" in attachment["text"]
    assert len(links(attachment["text"])) == 4
    [attachment] = delivered.one("/slack", resolved=True).body["attachments"]
    assert attachment["color"] == "good"
    assert attachment["title"].startswith("[RESOLVED] test: ")


def test_telegram(delivered: Delivered) -> None:
    request = delivered.one("/bot")
    assert request.path == "/bottelegramToken-value/sendMessage"
    assert (request.body["chat_id"], request.body["message_thread_id"]) == ("-1001", "7")
    assert request.body["parse_mode"] == "HTML"
    assert request.body["text"].startswith(f"<b>{TITLE}</b>\n\nCluster test: container web")
    assert len(links(request.body["text"])) == 4
    assert "[RESOLVED]" in delivered.one("/bot", resolved=True).body["text"]


def test_pagerduty(delivered: Delivered) -> None:
    body = delivered.one("/pagerduty").body
    assert (body["routing_key"], body["event_action"]) == ("pagerdutyKey-value", "trigger")
    payload = body["payload"]
    assert (payload["summary"], payload["severity"], payload["source"]) == (TITLE, "critical", "test")
    assert (payload["class"], payload["component"]) == ("PodCrashLooping", "workloads")
    assert "has crashed 7 times" in payload["custom_details"]["alerts"]
    assert [link["text"] for link in body["links"]] == ["Runbook", "Dashboard", "Logs", "Silence"]
    resolved = delivered.one("/pagerduty", resolved=True).body
    assert (resolved["event_action"], resolved["dedup_key"]) == ("resolve", body["dedup_key"])


def test_opsgenie(delivered: Delivered) -> None:
    request = delivered.one("/opsgenie/v2/alerts")
    assert request.headers["Authorization"] == "GenieKey opsgenieKey-value"
    assert (request.body["message"], request.body["priority"]) == (TITLE, "P1")
    assert request.body["responders"] == [{"name": "apps", "type": "team"}]
    assert request.body["tags"] == ["critical", "workloads", "test"]
    assert len(links(request.body["description"])) == 4
    assert delivered.one(f"/opsgenie/v2/alerts/{request.body['alias']}/close").method == "POST"


def test_msteams(delivered: Delivered) -> None:
    body = delivered.one("/msteams").body
    [card] = body["attachments"]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    title, text = card["content"]["body"]
    assert title["text"] == TITLE.replace("[", r"\[").replace("]", r"\]")
    assert len(links(text["text"])) == 4
    assert delivered.one("/msteams", resolved=True)


def test_discord(delivered: Delivered) -> None:
    [embed] = delivered.one("/discord").body["embeds"]
    assert embed["title"] == TITLE.replace("[", r"\[").replace("]", r"\]")
    assert "has crashed 7 times" in embed["description"]
    assert len(links(embed["description"])) == 4
    assert delivered.one("/discord", resolved=True)


def test_jira(delivered: Delivered) -> None:
    request = delivered.one("/jira/rest/api/2/issue")
    assert request.headers["Authorization"] == "Basic YUBiLmM6amlyYVRva2VuLXZhbHVl"
    fields = request.body["fields"]
    assert fields["project"] == {"key": "OPS"}
    assert fields["summary"] == TITLE
    assert {"alertmanager", "test", "PodCrashLooping"} < set(fields["labels"])
    assert len(links(fields["description"])) == 4
    assert delivered.one("/jira/rest/api/2/issue/OPS-1", method="PUT")
    assert delivered.one("/jira/rest/api/2/issue/OPS-1/transitions").body["transition"] == {"id": "31"}


def test_mail_goes_by_tls_with_a_password(delivered: Delivered) -> None:
    wait_for("no mail of the end", lambda: len(delivered.smtp.mails) > 1)
    mail, resolved = delivered.smtp.mails[:2]
    assert mail.encrypted
    assert (mail.user, mail.password) == ("mailer", "smtpPassword-value")
    assert "oncall@example.com" in mail.recipients[0]
    message = email.message_from_string(mail.data, policy=email.policy.default)
    assert message["Subject"] == TITLE
    for kind in ("plain", "html"):
        body = message.get_body((kind,))
        assert body is not None
        assert "has crashed 7 times" in body.get_content()
        assert len(links(body.get_content())) == 4
    assert "RESOLVED" in email.message_from_string(resolved.data, policy=email.policy.default)["Subject"]


def test_github(delivered: Delivered) -> None:
    request = delivered.one("/github")
    assert request.path == "/github/repos/acme/alerts/dispatches"
    assert request.headers["Authorization"] == "Bearer githubToken-value"
    assert request.body["event_type"] == "alert"
    payload = request.body["client_payload"]
    assert (payload["status"], payload["key"]) == ("firing", "test/shop/PodCrashLooping")
    assert payload["title"] == TITLE
    assert len(links(payload["body"])) == 4
    assert delivered.one("/github", resolved=True).body["client_payload"]["status"] == "resolved"


def twice(sink: HttpSink, path: str) -> bool:
    return len(sink.to(path)) > 1


@pytest.mark.parametrize("status", [500, 429])
def test_a_failed_delivery_is_tried_again(
    status: int, tmp_path: Path, sink: HttpSink, start: Callable[..., Alertmanager]
) -> None:
    smtp = SmtpSink(tmp_path)
    well = Services()
    failed: set[str] = set()

    def fail_once(request: Request) -> Answer:
        kind = "/" + request.path.split("/")[1]
        if kind not in failed:
            failed.add(kind)
            return status, {"ok": False, "error_code": status, "description": "later"}
        return well(request)

    # At 429 some kinds give up until the next group interval, others try again within it: all deliver in the end.
    sink.answer = fail_once
    chosen = stacks.settings(receivers={"all": channels(sink.url, smtp.port)}, routes={"critical": "all"})
    config = configured(chosen, tmp_path, sink.url, smtp)
    alertmanager = start(config)
    alertmanager.push([alert("PodCrashLooping", annotations=TEXTS, **POD)])
    for path in (*PATHS[:-1], "/jira"):
        wait_for(f"{path} got nothing after {status}: {alertmanager.log()[-1500:]}", partial(twice, sink, path))
    smtp.close()
