"""A mail server that takes every message and sends none: enough of RFC 5321 for Alertmanager's e-mails."""

import email
import email.policy
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tools.inbox.messages import Inbox

LONGEST_LINE = 65536


class Server(ThreadingTCPServer):
    """The mail server of one inbox."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], inbox: Inbox) -> None:
        super().__init__(address, Handler)
        self.inbox = inbox


class Handler(StreamRequestHandler):
    """One session."""

    server: Server

    def handle(self) -> None:
        """Answer commands until QUIT or the end."""
        self._say("220 inbox ready")
        recipients: list[str] = []
        while line := self.rfile.readline(LONGEST_LINE):
            command = line.decode(errors="replace").strip()
            verb = command.split(" ")[0].upper()
            if verb == "EHLO":
                self._say("250-inbox", "250-8BITMIME", "250 SMTPUTF8")
            elif verb == "RCPT":
                recipients.append(command.partition(":")[2].strip().strip("<>"))
                self._say("250 ok")
            elif verb == "DATA":
                self._say("354 go on, end with a dot")
                self._take(self._data(), recipients)
                recipients = []
                self._say("250 taken")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            elif verb in {"HELO", "MAIL", "NOOP", "RSET"}:
                self._say("250 ok")
            else:
                self._say("502 not known here")

    def _data(self) -> bytes:
        lines = []
        while (line := self.rfile.readline(LONGEST_LINE)) and line.rstrip(b"\r\n") != b".":
            # A leading dot is doubled on the way (RFC 5321, 4.5.2).
            lines.append(line[1:] if line.startswith(b"..") else line)
        return b"".join(lines)

    def _take(self, data: bytes, recipients: list[str]) -> None:
        message = email.message_from_bytes(data, policy=email.policy.default)
        body = message.get_body(("plain", "html"))
        text = body.get_content() if body else ""
        self.server.inbox.add("email", ", ".join(recipients), str(message["Subject"] or ""), text.strip())

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
