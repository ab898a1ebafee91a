"""Ways to tell a person: one model for each kind of receiver. Secrets are named, never written."""

from typing import Annotated, Literal

from pydantic import Field

from settings.base import HostPort, Model, SecretKey, Url

Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
Region = Literal["us", "eu"]


class Webhook(Model):
    """Any HTTP endpoint that takes Alertmanager's JSON."""

    kind: Literal["webhook"]
    url_secret: SecretKey
    token_secret: SecretKey | None = None
    """Sent as `Authorization: Bearer`, where the endpoint wants it."""


class Slack(Model):
    """A Slack channel by incoming webhook."""

    kind: Literal["slack"]
    url_secret: SecretKey
    channel: Annotated[str, Field(pattern=r"^[#@]\S+$")]


class Email(Model):
    """Mail by SMTP with TLS: STARTTLS, or TLS from the start where the server's port is 465."""

    kind: Literal["email"]
    to: Address
    sender: Address
    server: HostPort
    username: str
    password_secret: SecretKey
    require_tls: bool = True
    """False only for a relay in the cluster that knows no TLS: mails, and a password that it asks for, can be read."""


class Telegram(Model):
    """A Telegram chat by bot."""

    kind: Literal["telegram"]
    token_secret: SecretKey
    chat_id: int
    thread_id: Annotated[int, Field(ge=1)] | None = None
    """A topic of the chat."""
    api_url: Url = "https://api.telegram.org"
    """Another one for a Bot API server of your own."""


class PagerDuty(Model):
    """A PagerDuty service, Events API v2."""

    kind: Literal["pagerduty"]
    routing_key_secret: SecretKey
    region: Region = "us"


class Opsgenie(Model):
    """Opsgenie, Alert API v2. Atlassian ends the service in April 2027."""

    kind: Literal["opsgenie"]
    api_key_secret: SecretKey
    region: Region = "us"
    team: str | None = None
    """Team that responds; the key's own team where it is not set."""


class MsTeams(Model):
    """A Microsoft Teams channel by a Power Automate workflow ("When a Teams webhook request is received")."""

    kind: Literal["msteams"]
    url_secret: SecretKey


class Discord(Model):
    """A Discord channel by webhook."""

    kind: Literal["discord"]
    url_secret: SecretKey


class Jira(Model):
    """An issue for each group of alerts in a Jira project: made, updated, closed and opened again by Alertmanager."""

    kind: Literal["jira"]
    url: Url
    """Address of the site, such as https://example.atlassian.net."""
    project: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]+$")]
    issue_type: str = "Task"
    username: str | None = None
    """Jira Cloud: mail address of the account, whose API token is the secret. Data Center: left out."""
    token_secret: SecretKey
    resolve_transition: str = "Done"
    reopen_transition: str = "To Do"
    """Names of the transitions in the project's workflow."""


class GitHub(Model):
    """An issue for each group of alerts in a GitHub repository, kept by a workflow there (docs/delivery.md)."""

    kind: Literal["github"]
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$")]
    token_secret: SecretKey
    """Fine-grained token of this repository with `Contents: read and write`, which repository_dispatch asks for."""
    api_url: Url = "https://api.github.com"


Channel = Annotated[
    Webhook | Slack | Email | Telegram | PagerDuty | Opsgenie | MsTeams | Discord | Jira | GitHub,
    Field(discriminator="kind"),
]
