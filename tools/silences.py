"""`make silences`: the silences of a stack file. With `--check` a lapsed one is an error, for pull requests.

At `up` a lapsed silence is only left out, with a warning: nobody is blocked at 3 a.m. by a date.
"""

import argparse

from rich.console import Console
from rich.table import Table

from components.silences import warn
from tools.console import UserError, run
from tools.rules import stack_settings


def main() -> None:
    """Print them, and check their ends."""
    parser = argparse.ArgumentParser(prog="python -m tools.silences", description=__doc__)
    parser.add_argument("--stack", required=True, help="the name in Pulumi.<stack>.yaml")
    parser.add_argument("--check", action="store_true", help="fail where one has lapsed")
    arguments = parser.parse_args()
    silences = stack_settings(arguments.stack).alertmanager.silences
    if silences is None:
        print(f"Stack {arguments.stack} keeps no silences.")
        return
    table = Table("matchers", "until", "author", "reason", "state", title=f"Silences of stack {arguments.stack}")
    for silence in silences:
        state = "lapsed" if silence.expired else "in force"
        table.add_row(", ".join(silence.matchers), str(silence.until), silence.author, silence.reason, state)
    Console(width=None if Console().is_terminal else 160).print(table)
    lapsed = warn(silences)
    if lapsed and arguments.check:
        raise UserError("\n".join([f"Pulumi.{arguments.stack}.yaml:", *lapsed]))


if __name__ == "__main__":
    run(main)
