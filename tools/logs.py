"""`make logs QUERY=...`: log lines of the local stack, read by logcli through Loki's gateway."""

import argparse
import os
import subprocess

from tools import binaries
from tools.access import attach
from tools.cluster import LOCAL
from tools.console import UserError, run
from tools.rules import stack_settings
from tools.up import is_local

DEFAULT = '{namespace=~".+"}'


def main() -> int:
    """Run one query; the exit code is logcli's."""
    parser = argparse.ArgumentParser(prog="python -m tools.logs", description=__doc__)
    parser.add_argument("--stack", default="dev", help="the name in Pulumi.<stack>.yaml")
    parser.add_argument("--query", default=DEFAULT, help=f"LogQL query (default: {DEFAULT})")
    parser.add_argument("--since", default="1h", help="how far back (default: 1h)")
    parser.add_argument("--limit", default="50", help="how many lines (default: 50)")
    parser.add_argument("--follow", action="store_true", help="go on with new lines until Ctrl-C")
    arguments = parser.parse_args()
    if not is_local(arguments.stack):
        raise UserError(f"stack {arguments.stack} has a cluster of its own; read its logs in Grafana, or by logcli")
    access = attach(LOCAL, stack_settings(arguments.stack), "loki")
    options = [f"--limit={arguments.limit}", *(["--tail"] if arguments.follow else [f"--since={arguments.since}"])]
    command = [str(binaries.find("logcli")), "query", "--quiet", *options, arguments.query]
    login = {"LOKI_ADDR": access.urls["loki"], "LOKI_USERNAME": access.user, "LOKI_PASSWORD": access.password}
    return subprocess.run(command, env={**os.environ, **login}, check=False).returncode


if __name__ == "__main__":
    run(main)
