"""`make diff BASE=main`: what the work tree changes on each cluster against a commit. No engine, no cluster.

Both sides are rendered for every Pulumi.*.yaml, each by its own version of the code. Exit code 1 where a stack cannot
be rendered, 3 where a gate of `--fail-on` refuses the change.
"""

import argparse
from pathlib import Path

from tools.console import run, say
from tools.diff.change import GATES
from tools.diff.compare import compare, refused
from tools.diff.report import markdown, terminal
from tools.diff.sides import both

REFUSED = 3


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.diff", description=__doc__)
    parser.add_argument("--base", default="main", help="branch, tag or commit to compare with (default: main)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the summary for a pull request there")
    gates = "; ".join(f"{name}: {meaning}" for name, meaning in GATES.items())
    parser.add_argument("--fail-on", action="append", default=[], choices=list(GATES), help=f"may be repeated. {gates}")
    arguments = parser.parse_args()
    clusters = compare(*both(arguments.base))
    if arguments.markdown:
        arguments.markdown.parent.mkdir(parents=True, exist_ok=True)
        arguments.markdown.write_text(markdown(clusters, arguments.base), encoding="utf-8")
    else:
        terminal(clusters, arguments.base)
    lines = refused(clusters, arguments.fail_on)
    for line in lines:
        say(f"refused: {line}")
    if any(cluster.error for cluster in clusters):
        say("error: a stack cannot be rendered; the summary says which and why")
        return 1
    return REFUSED if lines else 0


if __name__ == "__main__":
    run(main)
