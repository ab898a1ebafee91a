"""Who listens to the beats outside the cluster, as healthchecks.io and alike do: one check for each address."""

import threading
from time import monotonic

from .sinks import Answer, HttpSink, Request

PERIOD = 60.0
GRACE = 60.0
"""Seconds, as docs/delivery.md tells people to set them."""


class Check:
    """One address: up at its first ping, down once nothing has come for period and grace. A ping lifts it again."""

    def __init__(self) -> None:
        self.pings: list[float] = []
        self.down: list[float] = []
        """When somebody was called, by the monotonic clock."""
        self._silence = threading.Timer(0, lambda: None)

    def ping(self) -> None:
        """Note a sign of life."""
        self.stop()
        self.pings.append(monotonic())
        self._silence = threading.Timer(PERIOD + GRACE, lambda: self.down.append(monotonic()))
        self._silence.daemon = True
        self._silence.start()

    def stop(self) -> None:
        """Call nobody any more."""
        self._silence.cancel()

    def has_called(self) -> bool:
        """Whether somebody was called."""
        return bool(self.down)

    def settled_after(self, moment: float) -> bool:
        """Whether a ping came after this moment of the monotonic clock, or somebody was called."""
        return self.pings[-1] > moment or self.has_called()

    def gap(self) -> float:
        """The longest time between two pings, in seconds."""
        return max((after - before for before, after in zip(self.pings, self.pings[1:], strict=False)), default=0.0)


class Watcher:
    """A check for each path of the sink."""

    def __init__(self, *names: str) -> None:
        self.checks = {name: Check() for name in names}
        self.sink = HttpSink()
        self.sink.answer = self._answer

    def url(self, name: str) -> str:
        """The address that the check of this name listens at."""
        return f"{self.sink.url}/{name}"

    def close(self) -> None:
        """Stop listening."""
        self.sink.close()
        for check in self.checks.values():
            check.stop()

    def _answer(self, request: Request) -> Answer:
        # Any request counts, whatever it says: so does a message about the end of the Watchdog.
        self.checks[request.path.removeprefix("/")].ping()
        return 200, "OK"
