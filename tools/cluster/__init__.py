"""The local cluster: a real control plane on this machine, with a real node where the machine can have one."""

from tools.cluster.ended import naming_ended
from tools.cluster.local import Cluster, fake, start, status, stop
from tools.cluster.state import LOCAL

__all__ = ["LOCAL", "Cluster", "fake", "naming_ended", "start", "status", "stop"]
