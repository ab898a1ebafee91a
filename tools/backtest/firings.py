"""From the samples of an alert's expression to its firings, as an evaluator of rules counts them. All of it is pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Firing:
    """One firing of one series: its labels, begin and end in seconds since the epoch."""

    labels: tuple[tuple[str, str], ...]
    begin: int
    end: int
    from_before: bool = False
    """It fired already when the time that was looked at began."""
    goes_on: bool = False
    """It still fires at the end of the time that was looked at."""

    @property
    def seconds(self) -> int:
        """How long it fired."""
        return self.end - self.begin


def firings(times: Iterable[int], step: int, wait: int, keep: int) -> Iterator[tuple[int, int]]:
    """Begin and end of each firing of one series.

    `times` are the evaluations, `step` seconds apart, at which the expression gave the series; `wait` and `keep` are
    the rule's `for` and `keep_firing_for`. An evaluation without the series ends the waiting at once, and the firing
    after `keep`.
    """
    active = begin = last = None
    for moment in sorted(times):
        if last is not None and moment - last > step:
            if begin is not None and moment - last > keep:
                yield begin, _end(last, step, keep)
                begin = None
            if begin is None:
                active = None
        if active is None:
            active = moment
        if begin is None and moment - active >= wait:
            begin = moment
        last = moment
    if begin is not None and last is not None:
        yield begin, _end(last, step, keep)


def _end(last: int, step: int, keep: int) -> int:
    # The first evaluation that lacks the series ends it, or the first one after `keep`.
    return last + max(step, -(-keep // step) * step)


def of_series(
    labels: dict[str, str], times: Iterable[int], step: int, wait: int, keep: int, between: tuple[int, int]
) -> Iterator[Firing]:
    """Firings of a series that touch the time `between`, cut to it."""
    start, end = between
    for begin, over in firings(times, step, wait, keep):
        if over > start and begin <= end:
            shown = tuple(sorted((key, value) for key, value in labels.items() if key != "__name__"))
            yield Firing(shown, max(begin, start), min(over, end), begin < start, over > end)
