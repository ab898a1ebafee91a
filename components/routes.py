"""Routes of Alertmanager, with the response times that the severities ask for.

| severity | first message | joins a group that was told | again after a failed attempt | repeated |
|---|---|---|---|---|
| critical | after 10 s | within 1 min | retries for 1 min, then each 1 min | 4 h |
| warning | after 1 min | within 10 min | retries for 10 min, then each 10 min | 12 h |
| info | in the daily digest | in the next digest | retries until the next digest | daily |

So a critical alert is told at once, and a warning within 30 minutes even when two attempts fail.
"""

from collections.abc import Iterator
from typing import Any

from components.receivers import HEARTBEAT, HEARTBEAT_LOGS, NOBODY
from components.running import running
from settings import Settings, SettingsError
from settings.delivery import AlertmanagerSettings
from settings.routing import WEEKDAYS, Maintenance, Urgent, Window

GROUP_BY = ["alertname", "cluster", "namespace"]
TIMING: dict[str, dict[str, str]] = {
    "critical": {"group_wait": "10s", "group_interval": "1m", "repeat_interval": "4h"},
    "warning": {"group_wait": "1m", "group_interval": "10m", "repeat_interval": "12h"},
}
# A repeat_interval is rounded up to whole group intervals: 23h makes it every digest.
DIGEST = {"group_wait": "24h", "group_interval": "24h", "repeat_interval": "23h"}
# A beat each 45 s: two a minute at most, for services that count. `resend_delay` and the rule's interval are 15 s, so a
# dead evaluator's alert ends after 60 s, and the last beat comes no later.
BEAT = {"group_wait": "0s", "group_interval": "15s", "repeat_interval": "40s"}


def route(settings: Settings) -> dict[str, Any]:
    """The `route` of alertmanager.yaml.

    Raises SettingsError where a component is routed or maintained that no rule has.
    """
    _check_components(settings)
    alertmanager = settings.alertmanager
    routes = list(_beats(alertmanager))
    always = [name for name, maintenance in alertmanager.maintenance.items() if not _matchers(maintenance)]
    for name, maintenance in alertmanager.maintenance.items():
        matchers = _matchers(maintenance)
        if matchers:
            # A route that mutes must also say who is told afterwards: hence the whole tree once more.
            inner = list(_people(alertmanager, [*always, name]))
            urgent = f'severity=~"{"|".join(TIMING)}"'
            routes.append({"matchers": [*matchers, urgent], "routes": inner})
    routes += _people(alertmanager, always)
    if alertmanager.routes.info:
        # The Watchdogs keep the group of the digest alive: alone, an alert that came and went between two digests
        # would never be told. They are left out of its text.
        digest = {"matchers": ['severity=~"info|none"'], "receiver": alertmanager.routes.info, "group_by": ["cluster"]}
        routes.append(digest | DIGEST)
    return {
        "receiver": NOBODY,
        "group_by": GROUP_BY,
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "12h",
        "routes": routes,
    }


def time_intervals(alertmanager: AlertmanagerSettings) -> list[dict[str, Any]]:
    """The `time_intervals`: quiet hours by receiver, maintenance by name."""
    named = {f"quiet-{name}": windows for name, windows in alertmanager.quiet_hours.items()}
    named |= {f"maintenance-{name}": entry.windows for name, entry in alertmanager.maintenance.items()}
    return [
        {"name": name, "time_intervals": [part for window in windows for part in _parts(window)]}
        for name, windows in named.items()
    ]


def _beats(alertmanager: AlertmanagerSettings) -> Iterator[dict[str, Any]]:
    beats = {"Watchdog": (HEARTBEAT, alertmanager.heartbeat.url_secret)}
    beats["LogsWatchdog"] = (HEARTBEAT_LOGS, alertmanager.heartbeat.logs_url_secret)
    for alert, (receiver, key) in beats.items():
        if key:
            digest = {"continue": True} if alertmanager.routes.info else {}
            yield {"matchers": [f'alertname="{alert}"'], "receiver": receiver, **BEAT, **digest}


def _people(alertmanager: AlertmanagerSettings, maintenance: list[str]) -> Iterator[dict[str, Any]]:
    """Routes to people, the most special first; `maintenance` names the windows that mute all of them."""
    routes = alertmanager.routes
    if routes.gpu:
        for severity in TIMING:
            # Who gets it by its severity anyway must not get it twice.
            if routes.gpu != _told_of_gpus(alertmanager, severity):
                also = _urgent(alertmanager, severity, routes.gpu, ['component="gpu"'], maintenance)
                yield also | {"continue": True}
    special: list[tuple[str, Urgent]] = []
    special += [(_namespace(pattern), urgent) for pattern, urgent in routes.namespaces.items()]
    special += [(f'component="{name}"', urgent) for name, urgent in routes.components.items()]
    special += [(f'team="{name}"', urgent) for name, urgent in routes.teams.items()]
    for matcher, urgent in special:
        for severity in TIMING:
            receiver = getattr(urgent, severity)
            if receiver:
                yield _urgent(alertmanager, severity, receiver, [matcher], maintenance)
    for severity in TIMING:
        receiver = getattr(routes, severity)
        if receiver:
            yield _urgent(alertmanager, severity, receiver, [], maintenance)


def _urgent(
    alertmanager: AlertmanagerSettings, severity: str, receiver: str, matchers: list[str], maintenance: list[str]
) -> dict[str, Any]:
    muted = [f"maintenance-{name}" for name in maintenance]
    if severity == "warning" and alertmanager.quiet_hours.get(receiver):
        muted.append(f"quiet-{receiver}")
    result = {"matchers": [*matchers, f'severity="{severity}"'], "receiver": receiver, **TIMING[severity]}
    return result | ({"mute_time_intervals": muted} if muted else {})


def _told_of_gpus(alertmanager: AlertmanagerSettings, severity: str) -> str | None:
    routes = alertmanager.routes
    chain = [routes.components.get("gpu"), routes.teams.get("gpu"), routes]
    found: list[str | None] = [getattr(urgent, severity) for urgent in chain if urgent]
    return next((name for name in found if name), None)


def _namespace(pattern: str) -> str:
    return f'namespace=~"{pattern.replace("*", ".*")}"' if "*" in pattern else f'namespace="{pattern}"'


def _matchers(maintenance: Maintenance) -> list[str]:
    given = [_namespace(maintenance.namespace)] if maintenance.namespace else []
    given += [f'component="{maintenance.component}"'] if maintenance.component else []
    return given + ([f'team="{maintenance.team}"'] if maintenance.team else [])


def _parts(window: Window) -> Iterator[dict[str, Any]]:
    """A window as Alertmanager's intervals, which end at midnight: one over midnight becomes two."""
    days = list(window.weekdays)
    if window.start < window.end:
        yield _interval(days, window.start, window.end, window.timezone)
        return
    yield _interval(days, window.start, "24:00", window.timezone)
    if window.end != "00:00":
        following = [WEEKDAYS[(WEEKDAYS.index(day) + 1) % 7] for day in days]
        yield _interval(following, "00:00", window.end, window.timezone)


def _interval(days: list[Any], start: str, end: str, timezone: str) -> dict[str, Any]:
    times = {"times": [{"start_time": start, "end_time": end}], "location": timezone}
    return times | ({"weekdays": days} if days else {})


def _check_components(settings: Settings) -> None:
    known = running(settings)
    alertmanager = settings.alertmanager
    named = {f"routes.components.{name}": name for name in alertmanager.routes.components}
    named |= {
        f"maintenance.{name}.component": entry.component
        for name, entry in alertmanager.maintenance.items()
        if entry.component
    }
    unknown = [
        f"observability:alertmanager.{where}: no rule has this component"
        for where, name in named.items()
        if name not in known
    ]
    if unknown:
        raise SettingsError("\n".join([*unknown, f"Components are {', '.join(sorted(known))}"]))
