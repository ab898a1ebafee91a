"""The noise report, from answers as Prometheus gives them."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tools import noise
from tools.console import UserError

from .sinks import Answer, HttpSink, Request

END = 1_800_000_000 // 60 * 60
START = END - noise.WEEK


def firing(*spans: tuple[int, int]) -> list[int]:
    """Sample times of an alert that fired from and for so many minutes."""
    return [START + 60 * (begin + minute) for begin, length in spans for minute in range(length)]


def series(**given: list[int]) -> dict[str, tuple[dict[str, str], list[int]]]:
    return {name: ({"alertname": name.rstrip("0123456789"), "cluster": "prod"}, times) for name, times in given.items()}


def test_firings_are_counted_with_their_length() -> None:
    found = noise.count(series(Slow=firing((100, 5), (200, 30), (400, 9))), START, END)[("Slow", "prod", 0)]
    assert (found.firings, found.ended, found.short) == (3, 3, 2)
    assert found.seconds == 44 * 60
    assert found.share == pytest.approx(2 / 3)


def test_one_missing_sample_is_no_end() -> None:
    times = firing((100, 30))
    times.remove(START + 60 * 115)
    assert noise.count(series(Slow=times), START, END)[("Slow", "prod", 0)].firings == 1


def test_what_still_fires_has_not_ended() -> None:
    found = noise.count(series(Down=firing((10070, 11))), START, END)[("Down", "prod", 0)]
    assert (found.firings, found.ended) == (1, 0)


def test_what_fired_before_has_no_known_length() -> None:
    found = noise.count(series(Down=firing((0, 5))), START, END)[("Down", "prod", 0)]
    assert (found.firings, found.ended) == (1, 0)


def test_candidates_end_by_themselves_again_and_again() -> None:
    often = firing(*((100 * n, 5) for n in range(1, 7)))
    assert noise.count(series(Flap=often), START, END)[("Flap", "prod", 0)].candidate
    long = firing(*((100 * n, 50) for n in range(1, 7)))
    assert not noise.count(series(Real=long), START, END)[("Real", "prod", 0)].candidate


def test_series_of_one_alert_are_summed() -> None:
    found = noise.count(series(Pod1=firing((100, 5)), Pod2=firing((100, 20))), START, END)[("Pod", "prod", 0)]
    assert (found.firings, found.short, len(found.ids)) == (2, 1, 2)


def test_weeks_are_apart() -> None:
    found = noise.count(series(Slow=firing((-5000, 5), (100, 5))), START - noise.WEEK, END)
    assert {week: item.firings for (_, _, week), item in found.items()} == {0: 1, 1: 1}


def test_prometheus_is_asked_day_by_day_without_a_gap(sink: HttpSink) -> None:
    steady = range(START, END + 60, 60)

    def answer(request: Request) -> Answer:
        query: dict[str, Any] = {key: value[0] for key, value in parse_qs(urlsplit(request.path).query).items()}
        assert query["query"] == noise.QUERY
        times = [moment for moment in steady if int(query["start"]) <= moment <= int(query["end"])]
        assert len(times) <= 11_000
        metric = {"__name__": "ALERTS", "alertname": "Down", "alertstate": "firing", "cluster": "prod"}
        result = [{"metric": metric, "values": [[moment, "1"] for moment in times]}]
        return 200, {"status": "success", "data": {"result": result}}

    sink.answer = answer
    found = noise.count(noise.read(sink.url, START, END), START, END)[("Down", "prod", 0)]
    assert found.firings == 1


def test_no_answer_is_said(sink: HttpSink) -> None:
    sink.answer = lambda _request: (503, "no")
    with pytest.raises(UserError, match=r"refuses .*503"):
        noise.read(sink.url, START, END)
