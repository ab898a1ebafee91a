"""A stack with one receiver of each kind, and the services behind them as far as a test needs them."""

from pathlib import Path
from typing import Any

from components.receiver_kinds import OPSGENIE, PAGERDUTY
from settings import Settings

from . import stacks
from .sinks import Answer, Request, SmtpSink

RUNBOOK = "https://runbooks.example.com/PodCrashLooping.md"
TEXTS = {
    "summary": "Container web of pod shop/web-1 is in a crash loop",
    "description": "Cluster test: container web of pod shop/web-1 has crashed 7 times.",
    "runbook_url": RUNBOOK,
}
TITLE = "[CRITICAL] test: Container web of pod shop/web-1 is in a crash loop"
POD: dict[str, Any] = {
    "namespace": "shop",
    "pod": "web-1",
    "severity": "critical",
    "component": "workloads",
    "team": "apps",
}
SECRETS = ("hookToken", "smtpPassword", "telegramToken", "pagerdutyKey", "opsgenieKey", "jiraToken", "githubToken")


def channels(url: str, smtp: int) -> list[dict[str, Any]]:
    """One of each kind."""
    return [
        {"kind": "webhook", "urlSecret": "hookUrl", "tokenSecret": "hookToken"},
        {"kind": "slack", "urlSecret": "slackUrl", "channel": "#alerts"},
        {"kind": "telegram", "tokenSecret": "telegramToken", "chatId": -1001, "threadId": 7},
        {"kind": "pagerduty", "routingKeySecret": "pagerdutyKey"},
        {"kind": "opsgenie", "apiKeySecret": "opsgenieKey", "region": "eu", "team": "apps"},
        {"kind": "msteams", "urlSecret": "msteamsUrl"},
        {"kind": "discord", "urlSecret": "discordUrl"},
        {"kind": "jira", "url": f"{url}/jira", "project": "OPS", "username": "a@b.c", "tokenSecret": "jiraToken"},
        {
            "kind": "email",
            "to": "oncall@example.com",
            "sender": "alerts@example.com",
            "server": f"127.0.0.1:{smtp}",
            "username": "mailer",
            "passwordSecret": "smtpPassword",
        },
        {"kind": "github", "repository": "acme/alerts", "tokenSecret": "githubToken", "apiUrl": f"{url}/github"},
    ]


class Services:
    """What the services answer when all is well. Jira remembers whether there is an issue."""

    issue = False

    def __call__(self, request: Request) -> Answer:
        """The answer to one request."""
        path = request.path
        if path.startswith("/bot"):
            return 200, {"ok": True, "result": {"message_id": 1, "date": 1, "chat": {"id": -1001, "type": "group"}}}
        if path.startswith("/jira"):
            return self._jira(request)
        if path.startswith(("/pagerduty", "/opsgenie")):
            return 202, {"status": "success"}
        return (200, "ok") if path.startswith(("/slack", "/hook")) else (204, "")

    def _jira(self, request: Request) -> Answer:
        if "/search" in request.path:
            found = {"key": "OPS-1", "fields": {"status": {"name": "To Do", "statusCategory": {"key": "new"}}}}
            return 200, {"issues": [found] if self.issue else []}
        if request.path.endswith("/transitions") and request.method == "GET":
            return 200, {"transitions": [{"id": "11", "name": "To Do"}, {"id": "31", "name": "Done"}]}
        self.issue = True
        return 201, {"key": "OPS-1"}


def configured(chosen: Settings, folder: Path, url: str, smtp: SmtpSink) -> dict[str, Any]:
    """The stack's configuration, with the addresses of the sinks and times that suit a test."""
    secrets = {key: f"{key}-value\n" for key in SECRETS}
    secrets |= {f"{name}Url": f"{url}/{name}\n" for name in ("hook", "slack", "msteams", "discord")}
    config = led_to(url, stacks.rendered(chosen, folder, secrets))
    for receiver in config["receivers"]:
        for mail in receiver.get("email_configs", []):
            mail["tls_config"] = {"ca_file": str(smtp.certificate)}
    stacks.quick(config["route"], group_wait="100ms", group_interval="1s")
    return config


def led_to(url: str, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with a sink in the place of those services whose address is not a secret of the stack."""
    for address, sink in ((PAGERDUTY["us"], f"{url}/pagerduty"), (OPSGENIE["eu"], f"{url}/opsgenie/")):
        config = stacks.replaced(config, address, sink)
    for receiver in config["receivers"]:
        for telegram in receiver.get("telegram_configs", []):
            telegram["api_url"] = url
    return config
