"""How long does a line take from a container to an answer of Loki?

A query that names a word of its own is written into Loki's own log, by Loki. To be found, this line has to go the whole
way: container, file, log agent of that node, gateway, Loki. No pod has to be started for it, and no image be had.
"""

import secrets
import time
from urllib.parse import urlencode

from components import addresses
from settings import Settings
from tools.reach import Part
from tools.verify.result import Result

GOAL_SECONDS = 5.0
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.1


def line(part: Part, settings: Settings) -> Result:
    """Write a line and wait for it; well where Loki finds it within 5 s."""
    word = f"verify-{secrets.token_hex(8)}"
    query = f'{{namespace="{settings.namespaces.main}", app="{addresses.LOKI}"}} |= "{word}"'
    began = time.time()
    stop = began + PATIENCE_SECONDS
    # The first query only writes the line.
    _found(part, query, began)
    written = time.time()
    while not (found := _found(part, query, began)) and time.time() < stop:
        time.sleep(POLL_SECONDS)
    took = time.time() - written
    todo = "is logAgent.drop taking Loki's own lines? Else the log agent's log, and kubectl get pods"
    if not found:
        return Result("", False, f"a line of Loki's own log was not found within {PATIENCE_SECONDS:.0f} s", todo)
    return Result("", took <= GOAL_SECONDS, f"a line was found after {took:.1f} s (goal {GOAL_SECONDS:.0f} s)", todo)


def _found(part: Part, query: str, began: float) -> bool:
    options = {"query": query, "start": int((began - 60) * 10**9), "limit": 1, "direction": "forward"}
    return bool(part.read(f"/loki/api/v1/query_range?{urlencode(options)}")["data"]["result"])
