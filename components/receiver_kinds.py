"""What each kind of channel becomes in alertmanager.yaml. Secrets are files that the operator mounts from one Secret.

Every kind has templates of its own in components/templates; components/messages.py says what limits them.
"""

from collections.abc import Callable
from typing import Any

from settings.channels import (
    Channel,
    Discord,
    Email,
    GitHub,
    Jira,
    MsTeams,
    Opsgenie,
    PagerDuty,
    Slack,
    Telegram,
    Webhook,
)

SECRET = "alertmanager-credentials"  # noqa: S105 (a Secret's name)
FOLDER = f"/etc/alertmanager/secrets/{SECRET}"
MAX_WEBHOOK_ALERTS = 100
"""A webhook's body stays below about 200 KiB."""
PAGERDUTY = {"us": "https://events.pagerduty.com/v2/enqueue", "eu": "https://events.eu.pagerduty.com/v2/enqueue"}
OPSGENIE = {"us": "https://api.opsgenie.com/", "eu": "https://api.eu.opsgenie.com/"}
SECTIONS = {"msteams": "msteamsv2_configs", "github": "webhook_configs"}
"""Name of the section where it is not `<kind>_configs`."""
LINKS = {"runbook": "Runbook", "dashboard": "Dashboard", "logs": "Logs", "silence": "Silence"}
"""What each message links to; `url.<name>` is the template of the address, empty where there is none."""


def section(channel: Channel) -> str:
    """Name of the list in a receiver that the channel belongs to."""
    return SECTIONS.get(channel.kind, f"{channel.kind}_configs")


def entry(channel: Channel) -> dict[str, Any]:
    """The channel's entry in that list, without `send_resolved`."""
    builders: dict[type[Channel], Callable[[Any], dict[str, Any]]] = {
        Webhook: _webhook,
        Slack: _slack,
        Email: _email,
        Telegram: _telegram,
        PagerDuty: _pagerduty,
        Opsgenie: _opsgenie,
        MsTeams: _msteams,
        Discord: _discord,
        Jira: _jira,
        GitHub: _github,
    }
    return builders[type(channel)](channel)


def secret_file(key: str) -> str:
    """Where Alertmanager reads the secret of this key."""
    return f"{FOLDER}/{key}"


def _template(name: str) -> str:
    return f'{{{{ template "{name}" . }}}}'


def _bearer(key: str) -> dict[str, Any]:
    return {"authorization": {"type": "Bearer", "credentials_file": secret_file(key)}}


def _webhook(channel: Webhook) -> dict[str, Any]:
    token = {"http_config": _bearer(channel.token_secret)} if channel.token_secret else {}
    return {"url_file": secret_file(channel.url_secret), "max_alerts": MAX_WEBHOOK_ALERTS, **token}


def _telegram(channel: Telegram) -> dict[str, Any]:
    return {
        "bot_token_file": secret_file(channel.token_secret),
        "api_url": channel.api_url,
        "chat_id": channel.chat_id,
        **({"message_thread_id": channel.thread_id} if channel.thread_id else {}),
        "parse_mode": "HTML",
        "message": _template("telegram.message"),
    }


def _msteams(channel: MsTeams) -> dict[str, Any]:
    return {
        "webhook_url_file": secret_file(channel.url_secret),
        "title": _template("msteams.title"),
        "text": _template("msteams.text"),
    }


def _discord(channel: Discord) -> dict[str, Any]:
    return {
        "webhook_url_file": secret_file(channel.url_secret),
        "title": _template("discord.title"),
        "message": _template("discord.message"),
    }


def _slack(channel: Slack) -> dict[str, Any]:
    return {
        "api_url_file": secret_file(channel.url_secret),
        "channel": channel.channel,
        "color": _template("slack.color"),
        "title": _template("slack.title"),
        "title_link": _template("url.dashboard"),
        "text": _template("slack.text"),
        "fallback": _template("title"),
        "footer": "",
        "link_names": False,
    }


def _email(channel: Email) -> dict[str, Any]:
    return {
        "to": channel.to,
        "from": channel.sender,
        "smarthost": channel.server,
        "auth_username": channel.username,
        "auth_password_file": secret_file(channel.password_secret),
        "require_tls": channel.require_tls,
        "headers": {"Subject": _template("title")},
        "html": _template("email.html"),
        "text": _template("email.text"),
    }


def _pagerduty(channel: PagerDuty) -> dict[str, Any]:
    return {
        "routing_key_file": secret_file(channel.routing_key_secret),
        "url": PAGERDUTY[channel.region],
        "description": _template("title"),
        "severity": _template("pagerduty.severity"),
        "source": _template("cluster"),
        "component": _template("component"),
        "class": _template("alertname"),
        "client": "Alertmanager",
        "client_url": _template("url.dashboard"),
        # Without these, every label and annotation of every alert would be sent, up to the limit of 512 kB.
        "details": {"alerts": _template("pagerduty.details"), "firing": "", "resolved": ""},
        "links": [{"href": _template(f"url.{name}"), "text": text} for name, text in LINKS.items()],
    }


def _opsgenie(channel: Opsgenie) -> dict[str, Any]:
    team = {"responders": [{"name": channel.team, "type": "team"}]} if channel.team else {}
    return {
        "api_key_file": secret_file(channel.api_key_secret),
        "api_url": OPSGENIE[channel.region],
        "message": _template("title"),
        "description": _template("opsgenie.description"),
        "source": _template("cluster"),
        "entity": _template("alertname"),
        "priority": _template("opsgenie.priority"),
        "tags": _template("opsgenie.tags"),
        **team,
    }


def _jira(channel: Jira) -> dict[str, Any]:
    key = channel.token_secret
    basic = {"basic_auth": {"username": channel.username, "password_file": secret_file(key)}}
    return {
        # Version 2 takes texts in Jira's own markup; version 3 would want a tree of nodes.
        "api_url": f"{channel.url}/rest/api/2",
        "api_type": "cloud" if channel.username else "datacenter",
        "http_config": basic if channel.username else _bearer(key),
        "project": channel.project,
        "issue_type": channel.issue_type,
        "summary": {"template": _template("title")},
        "description": {"template": _template("jira.description")},
        "labels": ["alertmanager", _template("cluster"), _template("alertname")],
        "resolve_transition": channel.resolve_transition,
        "reopen_transition": channel.reopen_transition,
        "reopen_duration": "3d",
    }


def _github(channel: GitHub) -> dict[str, Any]:
    # An event, not an issue: only a workflow can find the issue of a group again, to update and to close it.
    return {
        "url": f"{channel.api_url}/repos/{channel.repository}/dispatches",
        "max_alerts": MAX_WEBHOOK_ALERTS,
        "http_config": _bearer(channel.token_secret),
        "payload": {
            "event_type": "alert",
            "client_payload": {
                "status": "{{ .Status }}",
                "key": _template("github.key"),
                "title": _template("title"),
                "body": _template("github.body"),
                "severity": _template("severity"),
            },
        },
    }
