"""Runs the inbox: `python -m tools.inbox.serve --address ADDRESS --file FILE`."""

import argparse
import threading
from pathlib import Path

from tools.inbox import smtp, web
from tools.inbox.messages import Inbox

HTTP_PORT = 8025
SMTP_PORT = 1025


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m tools.inbox.serve", description=__doc__)
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--http", type=int, default=HTTP_PORT, help="port of webhooks, Telegram and the page")
    parser.add_argument("--smtp", type=int, default=SMTP_PORT, help="port of the mail server")
    parser.add_argument("--file", type=Path, required=True, help="file of the messages, one line of JSON each")
    arguments = parser.parse_args()
    inbox = Inbox(arguments.file)
    mail = smtp.Server((arguments.address, arguments.smtp), inbox)
    threading.Thread(target=mail.serve_forever, daemon=True).start()
    web.Server((arguments.address, arguments.http), inbox).serve_forever()


if __name__ == "__main__":
    main()
