"""`make inbox`: where the page is, and every message in the terminal as it comes."""

import argparse
import time
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from tools.access import attach
from tools.cluster import LOCAL
from tools.console import run, say
from tools.rules import stack_settings

WAIT_SECONDS = 10


def panel(message: dict[str, Any]) -> Panel:
    """A message as a person would see it."""
    at = time.strftime("%H:%M:%S", time.localtime(message["received"]))
    lines = [line for line in (message["title"], message["text"]) if line]
    return Panel(Text("\n".join(lines)), title=f"{at} {message['channel']} to {message['to']}", title_align="left")


def main() -> None:
    """Show messages until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tools.inbox", description=__doc__)
    parser.add_argument("--stack", default="dev", help="the name in Pulumi.<stack>.yaml")
    parser.add_argument("--once", action="store_true", help="end after what is there")
    arguments = parser.parse_args()
    access = attach(LOCAL, stack_settings(arguments.stack), "inbox")
    say(f"The page is at {access.urls['inbox']}/ . New messages come below; Ctrl-C ends this, not the inbox.")
    console = Console()
    last = 0
    while True:
        found = access.read("inbox", f"/messages?after={last}&wait={0 if arguments.once else WAIT_SECONDS}")
        for message in found["messages"]:
            console.print(panel(message))
            last = message["number"]
        if arguments.once:
            beats = found["heartbeats"].items()
            say(", ".join(f"{name}: {beat['count']:.0f} beats" for name, beat in beats) or "no heartbeat yet")
            return


if __name__ == "__main__":
    run(main)
