"""Firings from samples, and the values that are tried."""

import pytest

from settings import Settings, parse
from tools.backtest.__main__ import days
from tools.backtest.candidates import candidates
from tools.backtest.firings import Firing, firings, of_series
from tools.backtest.past import longest_window
from tools.console import UserError

CASES: list[tuple[str, list[int], int, int, list[tuple[int, int]]]] = [
    # what, evaluations with the series, for, keep_firing_for, firings
    ("at once", [30, 60], 0, 0, [(30, 90)]),
    ("after for", [0, 30, 60, 90], 60, 0, [(60, 120)]),
    ("one short of for", [0, 30], 60, 0, []),
    ("a gap begins anew", [0, 30, 90, 120, 150], 60, 0, [(150, 180)]),
    ("a gap ends it", [0, 30, 60, 120, 150, 180], 60, 0, [(60, 90), (180, 210)]),
    ("kept over a gap", [0, 30, 60, 120], 60, 60, [(60, 180)]),
    ("kept, then over", [0, 30, 60, 300], 60, 60, [(60, 120)]),
    ("kept while it waits for nothing", [0, 300], 60, 60, []),
    ("keep that is no whole step", [0], 0, 45, [(0, 60)]),
    ("nothing", [], 0, 0, []),
]


@pytest.mark.parametrize(("times", "wait", "keep", "wanted"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_firings(times: list[int], wait: int, keep: int, wanted: list[tuple[int, int]]) -> None:
    assert list(firings(times, 30, wait, keep)) == wanted


def test_firings_are_cut_to_the_time_and_say_so() -> None:
    times = range(0, 300, 30)
    labels = {"__name__": "x", "node": "n1"}
    assert list(of_series(labels, times, 30, 0, 0, (60, 120))) == [Firing((("node", "n1"),), 60, 120, True, True)]
    assert list(of_series(labels, times, 30, 0, 0, (0, 600))) == [Firing((("node", "n1"),), 0, 300)]
    assert list(of_series(labels, times, 30, 0, 0, (600, 900))) == []


def settings(**tuning: object) -> Settings:
    sections = {
        "cluster": {"name": "edge", "distribution": "k3s"},
        "alertmanager": {"heartbeat": "none"},
        "alerts": {"tune": tuning},
    }
    return parse(sections, "x")


def test_the_values_that_are_tried() -> None:
    found = candidates(settings(HighCPUUsage={"threshold": "90%"}), "HighCPUUsage", ["threshold=95%,for=15m"])
    assert [candidate.names for candidate in found] == [("rule file",), ("stack edge",), ("threshold=95%,for=15m",)]
    assert [candidate.values for candidate in found][1:] == ["threshold 90 %, for 5m", "threshold 95 %, for 15m"]
    assert [candidate.wait for candidate in found] == [300, 300, 900]
    assert found[2].evaluator == "prometheus"
    assert "> 95" in found[2].expr


def test_an_exporter_that_is_not_ours_is_asked_by_its_own_job() -> None:
    sections = {
        "cluster": {"name": "edge", "distribution": "k3s"},
        "alertmanager": {"heartbeat": "none"},
        "exporters": {"postgresql": {"mode": "existing", "job": "team/pg"}},
    }
    (one,) = candidates(parse(sections, "x"), "PostgreSQLDown", [])
    assert 'job="team/pg"' in one.expr
    assert "postgres-exporter" not in one.expr


def test_values_that_are_the_same_are_tried_once() -> None:
    (one,) = candidates(settings(), "HighCPUUsage", ["for=5m"])
    assert one.names == ("rule file", "stack edge", "for=5m")


def test_what_is_not_set_stays_as_the_stack_has_it() -> None:
    found = candidates(settings(HighCPUUsage={"threshold": "90%"}), "HighCPUUsage", ["for=15m"])
    assert found[2].values == "threshold 90 %, for 15m"


def test_a_disabled_alert_can_be_tried() -> None:
    off = {"disabled": {"reason": "it is far too loud", "until": "2999-01-01"}}
    (one,) = candidates(settings(HighCPUUsage=off), "HighCPUUsage", [])
    assert one.names == ("rule file", "stack edge")


@pytest.mark.parametrize(
    ("alert", "wanted", "message"),
    [
        ("HighCPUUsag", [], "no alert is called HighCPUUsag; did you mean HighCPUUsage?"),
        ("", [], "^ALERT is missing: make backtest ALERT=HighCPUUsage"),
        ("HighCPUUsage", ["95%"], "cannot read '95%'; write for example threshold=90%"),
        ("HighCPUUsage", ["threshold=95"], r"^SET=threshold=95: HighCPUUsage.threshold: '95' is not in percent"),
        ("HighCPUUsage", ["limit=95%"], "HighCPUUsage.limit: the alert has no value of this name; it has threshold"),
        ("HighCPUUsage", ["for=ever"], r"^SET=for=ever: is not a duration"),
        ("MQTTBrokerDown", [], "does not ship MQTTBrokerDown: cluster.runs does not name mqtt"),
    ],
)
def test_mistakes_are_one_message(alert: str, wanted: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        candidates(settings(), alert, wanted)
    assert "\n" not in str(caught.value)


def test_the_longest_window() -> None:
    assert longest_window('rate(a[5m]) + max_over_time(b[1h:5m]) + count_over_time({x="[a]"} [ 10m ])') == 3600
    assert longest_window("up == 0") == 0


@pytest.mark.parametrize("text", ["inf", "nan", "-1", "0", "1e300", "x", ""])
def test_days_that_no_prometheus_has(text: str) -> None:
    with pytest.raises(UserError, match="not a number above 0 and up to 3650"):
        days(text)


def test_days() -> None:
    assert (days("7"), days("0.5")) == (7, 0.5)
