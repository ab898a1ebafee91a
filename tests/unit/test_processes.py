"""Daemons are ended with all that was started with them."""

import os
import signal
from pathlib import Path

from tools.cluster import processes


def test_what_waits_for_a_daemon_ends_with_it_even_where_it_is_stopped(tmp_path: Path) -> None:
    """nsenter stops itself when its daemon is stopped; left so, the daemon's namespaces would never go."""
    command = ["sh", "-c", "sleep 600 & wait"]
    daemon = processes.start("daemon", command, tmp_path / "log", wrapped=True)
    wrapper = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()[1]
    os.kill(int(wrapper), signal.SIGSTOP)
    processes.kill([daemon])
    assert not daemon.alive

    def gone() -> bool:
        stat = Path(f"/proc/{wrapper}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX"

    processes.wait_for("end of the wrapper", gone, 30, [])
