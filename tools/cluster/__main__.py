"""`python -m tools.cluster up|down|status`."""

import argparse
from pathlib import Path

from tools import cluster
from tools.console import run, say


def main() -> int:
    """Start, stop or describe the local cluster; `status` exits with 1 when it is not whole."""
    parser = argparse.ArgumentParser(prog="python -m tools.cluster", description="The local cluster on this machine.")
    parser.add_argument("command", choices=["up", "down", "status"])
    parser.add_argument("--state", type=Path, default=cluster.LOCAL, help="folder of its files (default: out/local)")
    parser.add_argument("--fake-nodes", action="store_true", help="no real node, even where the machine can have one")
    arguments = parser.parse_args()
    if arguments.command == "up":
        running = cluster.start(arguments.state, fake_nodes_only=arguments.fake_nodes)
        say(f"Talk to it by: kubectl --kubeconfig {running.kubeconfig} get nodes")
    elif arguments.command == "down":
        cluster.stop(arguments.state)
    else:
        lines = cluster.status(arguments.state)
        print("\n".join(lines) or "no local cluster is running")
        return 0 if lines and not any("ended" in line or "no answer" in line for line in lines) else 1
    return 0


if __name__ == "__main__":
    run(main)
