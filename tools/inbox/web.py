"""The inbox over HTTP: it takes webhooks and Telegram messages, and shows the page.

POST /webhook/<name>          Alertmanager's JSON, or any other; a name that ends in heartbeat only counts
POST /bot<token>/sendMessage  as the Telegram Bot API has it
GET  /                        the page
GET  /messages?after=N&wait=S messages after number N, waiting up to S seconds for one
"""

import html
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tools.inbox.messages import Alert, Inbox

PAGE = Path(__file__).parent / "page.html"
HEARTBEAT = "heartbeat"
LONGEST_WAIT = 30.0
LARGEST_BODY = 10 * 2**20


class Server(ThreadingHTTPServer):
    """The HTTP server of one inbox."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], inbox: Inbox) -> None:
        super().__init__(address, Handler)
        self.inbox = inbox


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Serve the page or messages."""
        url = urlsplit(self.path)
        if url.path == "/":
            self._answer(PAGE.read_bytes(), "text/html; charset=utf-8")
        elif url.path == "/messages":
            query = parse_qs(url.query)
            try:
                after, wait = int(query.get("after", ["0"])[0]), float(query.get("wait", ["0"])[0])
            except ValueError:
                self._refuse(HTTPStatus.BAD_REQUEST, "after and wait are numbers")
                return
            self._json(self.server.inbox.after(after, min(wait, LONGEST_WAIT)))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "no such page")

    def do_POST(self) -> None:
        """Take in a message."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LARGEST_BODY))
        path = urlsplit(self.path).path.strip("/").split("/")
        try:
            content = json.loads(body)
            if path[0] == "webhook" and len(path) > 1:
                take_webhook(self.server.inbox, path[1], content)
                self._json({"ok": True})
            elif path[0].startswith("bot") and path[1:] == ["sendMessage"]:
                text = plain(content["text"]) if content.get("parse_mode") == "HTML" else content["text"]
                self.server.inbox.add("telegram", f"chat {content['chat_id']}", "", text)
                # Alertmanager reads the identity of the message that it sent.
                chat = {"id": int(content["chat_id"])}
                self._json({"ok": True, "result": {"message_id": 1, "date": 0, "chat": chat}})
            else:
                self._refuse(HTTPStatus.NOT_FOUND, "no such receiver")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"this is not what the receiver takes: {error!r}")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: messages are in the inbox."""

    def _json(self, content: Mapping[str, Any]) -> None:
        self._answer(json.dumps(content).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._answer(json.dumps({"ok": False, "description": why}).encode(), "application/json", status)

    def _answer(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def take_webhook(inbox: Inbox, name: str, content: dict[str, Any]) -> None:
    """Take in what is posted to a webhook: Alertmanager's JSON (version 4), or what it makes for a chat or a pager."""
    if name.lower().endswith(HEARTBEAT):
        inbox.beat(name)
        return
    if "alerts" not in content:
        inbox.add("webhook", name, str(content.get("title", "")), json.dumps(content, indent=1, ensure_ascii=False))
        return
    alerts = [Alert(alert["labels"], alert["status"], alert["startsAt"]) for alert in content["alerts"]]
    firing = sum(alert.status == "firing" for alert in alerts)
    state = f"FIRING:{firing}" if firing else "RESOLVED"
    common = content["commonLabels"]
    names = common.get("alertname") or ", ".join(sorted({alert.labels["alertname"] for alert in alerts}))
    text = "\n\n".join(_text(alert) for alert in content["alerts"])
    inbox.add("webhook", name, f"[{state}] {names}", text, content["status"], alerts)


def plain(text: str) -> str:
    """Telegram's HTML as a person reads it: without tags, links with their address."""
    linked = re.sub(r'<a\s+href="([^"]*)">(.*?)</a>', r"\2: \1", text, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", linked))


def _text(alert: Mapping[str, Any]) -> str:
    annotations, labels = alert["annotations"], alert["labels"]
    words = [annotations.get("summary", labels["alertname"]), annotations.get("description", "")]
    named = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "alertname")
    return "\n".join(line for line in [*words, named, annotations.get("runbook_url", "")] if line)
