"""The rule of an alert at each value that is to be tried."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import ValidationError

from components import rule_files
from components.running import running
from components.stack import existing_jobs
from components.tuning import human, tunables
from settings import Settings, SettingsError
from settings.alerts import AlertSettings, AlertTuning
from settings.base import seconds
from tools.console import UserError
from tools.synth import ROOT

INTERVAL = "30s"
"""Of a group that names none: the evaluation interval of the stack."""


@dataclass(frozen=True)
class Candidate:
    """An alert at one set of values; `names` says whose they are."""

    names: tuple[str, ...]
    values: str
    evaluator: str
    expr: str
    interval: int
    wait: int
    keep: int


def candidates(settings: Settings, alert: str, wanted: list[str]) -> list[Candidate]:
    """The alert as its file has it, as the stack tunes it, and as each of `wanted` (`threshold=90%,for=15m`) says.

    Same ones are one. Raises UserError where no alert has the name or the stack does not run what it watches, or
    for a value that the alert does not have.
    """
    _check(alert)
    now = settings.alerts.tune.get(alert, AlertTuning()).model_copy(update={"disabled": None, "severity": None})
    tunings = {"rule file": AlertTuning(), f"stack {settings.cluster.name}": now}
    tunings |= {text: _tuning(alert, text, now) for text in wanted}
    found: dict[Candidate, list[str]] = {}
    for name, tuning in tunings.items():
        for candidate in _build(settings, alert, tuning):
            found.setdefault(candidate, []).append(name)
    return [
        Candidate(tuple(names), *(getattr(candidate, field) for field in list(Candidate.__dataclass_fields__)[1:]))
        for candidate, names in found.items()
    ]


def _tuning(alert: str, text: str, now: AlertTuning) -> AlertTuning:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(key and value for key, _, value in pairs):
        raise UserError(f"cannot read {text!r}; write for example threshold=90% or threshold=90%,for=15m")
    given = {key.strip(): value.strip() for key, _, value in pairs}
    try:
        # What is not given stays as the stack has it.
        tuning = AlertTuning.model_validate({**now.model_dump(by_alias=True, exclude_none=True), **given})
        rule_files.check_tuning(_files("prometheus") + _files("loki"), AlertSettings(tune={alert: tuning}))
    except ValidationError as error:
        raise UserError(f"SET={text}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    except SettingsError as error:
        said = str(error).splitlines()[-1].strip().removeprefix("observability:alerts.tune.")
        raise UserError(f"SET={text}: {said}") from None
    return tuning


def _build(settings: Settings, alert: str, tuning: AlertTuning) -> list[Candidate]:
    found: list[Candidate] = []
    why: list[str] = []
    for evaluator in ("prometheus", "loki"):
        chosen = AlertSettings(tune={alert: tuning})
        selection = rule_files.build(
            _files(evaluator), chosen, running(settings), settings.cluster.name, existing_jobs(settings)
        )
        why += [left.why for left in selection.left_out if left.alert == alert]
        for file in selection.files:
            for group in file.groups:
                found += [_candidate(evaluator, group, rule) for rule in group["rules"] if rule.get("alert") == alert]
    if not found:
        raise UserError(f"the stack does not ship {alert}: {', '.join(why)}")
    return found


@cache
def _files(evaluator: str) -> list[rule_files.RuleFile]:
    return rule_files.load(ROOT / "rules" / evaluator)


def _check(alert: str) -> None:
    if not alert:
        raise UserError("ALERT is missing: make backtest ALERT=HighCPUUsage STACK=prod SET=threshold=90%")
    files = _files("prometheus") + _files("loki")
    known = [rule["alert"] for file in files for group in file.groups for rule in group["rules"] if "alert" in rule]
    if alert not in known:
        close = get_close_matches(alert, known, n=1)
        raise UserError(f"no alert is called {alert}{f'; did you mean {close[0]}?' if close else ''}")


def _candidate(evaluator: str, group: dict[str, Any], rule: dict[str, Any]) -> Candidate:
    marks = tunables(rule["expr"]).values()
    words = [f"{mark.name} {human(mark.value, mark.unit)}" for mark in marks]
    words.append(f"for {rule.get('for', '0s')}")
    return Candidate(
        (),
        ", ".join(words),
        evaluator,
        rule["expr"],
        seconds(group.get("interval", INTERVAL)),
        seconds(rule["for"]) if "for" in rule else 0,
        seconds(rule["keep_firing_for"]) if "keep_firing_for" in rule else 0,
    )
