"""`make verify STACK=<name>`: checks a deployed stack from outside its cluster.

It reaches the parts by kubectl and forwarded ports, with the kubeconfig and context of the stack file, and changes
nothing.
Exit code 1 where something is not well.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

from rich.console import Console
from rich.table import Table
from rich.text import Text

from components import central_logs, probe_teams
from components.rule_files import Selection
from components.stack import select_dashboards, select_rules
from settings import Settings
from settings.cluster import Distribution
from tools import stand_in
from tools.cluster import LOCAL
from tools.console import UserError, progress, run, say
from tools.reach import Parts, Reach, reach
from tools.rules import stack_settings
from tools.verify import delivery, hub, logs, nodes, operator, rules, views
from tools.verify.result import Result, until_well

BEAT_SECONDS = 90
"""Twice the time between two beats of a Watchdog."""


def verify(settings: Settings, cluster: Reach, wait: float) -> Iterator[Result]:
    """All results in the order of the report. `wait`: seconds that a check may take to become well."""
    namespace = settings.namespaces.main
    beats = delivery.beats(settings)
    watch = delivery.Watch(beats)
    selected, for_loki = select_rules(settings)
    for_prometheus = probe_teams.by_target(selected, settings)
    with ExitStack() as opened:
        parts = Parts(cluster, settings, opened)
        with suppress(UserError):
            # Beats are counted from here: they leave while the other checks run.
            watch.look(parts.alertmanagers())
        yield until_well(lambda: nodes.pods(cluster, settings), "pods", wait)
        program = settings.log_agent.program
        yield until_well(lambda: nodes.agents(cluster, settings, program), "log agent on every node", wait)
        yield until_well(lambda: operator.reconciled(cluster, namespace), "operator", wait)
        runs = not nodes.all_fake(cluster)
        yield _where(runs, "a line reaches Loki", lambda: logs.line(parts.loki(), settings), 0)
        yield until_well(
            lambda: rules.prometheus(parts.prometheus(), cluster, namespace, for_prometheus), "rules, Prometheus", wait
        )
        yield until_well(lambda: rules.loki(parts.loki(), for_loki), "rules, Loki", wait)
        yield _where(runs, "targets", lambda: views.targets(parts.prometheus()), wait)
        if settings.grafana.enabled:
            shipped = select_dashboards(settings).shipped
            yield until_well(lambda: views.dashboards(cluster, namespace, shipped, parts.grafana()), "dashboards", wait)
        yield from _hub_and_spoke(parts, cluster, settings, for_prometheus, wait)
        if beats:
            wait = max(wait, BEAT_SECONDS)
            yield until_well(lambda: watch.look(parts.alertmanagers()), "heartbeat", wait)
        else:
            yield Result("heartbeat", True, "none: by the stack file nothing outside watches this cluster")


def _where(runs: bool, name: str, check: Callable[[], Result], wait: float) -> Result:
    """The result of a check that needs pods which run; on fake nodes it does not apply."""
    if runs:
        return until_well(check, name, wait)
    return Result(name, True, "every node is fake: its pods are ready by name, and no container runs", applies=False)


def _hub_and_spoke(
    parts: Parts, cluster: Reach, settings: Settings, selection: Selection, wait: float
) -> Iterator[Result]:
    if settings.prometheus.remote_write:
        yield until_well(lambda: hub.writing(parts.prometheus(), settings), "remote write", wait)
    if settings.central_logs:
        app = central_logs.APP
        yield until_well(lambda: nodes.agents(cluster, settings, app), "log agent of the hub on every node", wait)
        yield until_well(lambda: hub.sending(parts.prometheus(), settings), "lines to the hub", wait)
    if settings.hub.enabled:
        yield until_well(lambda: hub.rules(parts.hub(), selection), "hub: rules", wait)
        yield until_well(lambda: hub.clusters(parts.hub()), "hub: clusters", wait)
    if settings.hub.log_senders:
        yield until_well(lambda: hub.senders(parts.prometheus(), settings), "hub: log lines of clusters", wait)


def main() -> int:
    """Print the report; 1 where something is not well."""
    parser = argparse.ArgumentParser(prog="python -m tools.verify", description=__doc__)
    parser.add_argument("--stack", default="dev", help="the name in Pulumi.<stack>.yaml")
    parser.add_argument("--wait", type=float, default=60, help="seconds in which a check may become well (%(default)s)")
    arguments = parser.parse_args()
    settings = stack_settings(arguments.stack)
    cluster = reach(settings, LOCAL)
    # One message for a cluster that cannot be reached, instead of one a check.
    cluster.get("namespace", settings.namespaces.main)
    settings = as_deployed(settings, cluster)
    with progress(f"checking stack {arguments.stack}"):
        results = list(verify(settings, cluster, arguments.wait))
    show(arguments.stack, results)
    return 0 if all(result.well for result in results) else 1


def as_deployed(settings: Settings, cluster: Reach) -> Settings:
    """The settings without Grafana where the local cluster goes without it: chart or images cannot be reached."""
    place = f"--namespace={settings.namespaces.main}"
    local = settings.cluster.distribution is Distribution.LOCAL
    if not local or cluster.get("deployments", place, "--selector=app.kubernetes.io/name=grafana")["items"]:
        return settings
    grafana = settings.grafana.model_copy(update=stand_in.WITHOUT["grafana"])
    say("The local cluster goes without Grafana: it, its rules and the dashboards are not looked for.")
    return settings.model_copy(update={"grafana": grafana})


def show(stack: str, results: list[Result]) -> None:
    """The report as a table, with what to look at below."""
    table = Table("check", "", "seen", title=f"Stack {stack}")
    for result in results:
        style = "" if result.well else "bold"
        word = ("well" if result.applies else "not applicable") if result.well else "NOT WELL"
        table.add_row(result.check, word, Text(result.seen), style=style)
    console = Console(width=None if Console().is_terminal else 140, highlight=False)
    console.print(table)
    for result in results:
        if not result.well and result.todo:
            console.print(f"{result.check}: {result.todo}", markup=False)
    applied = [result for result in results if result.applies]
    bad = sum(not result.well for result in applied)
    others = f"; {len(results) - len(applied)} not applicable" if len(applied) < len(results) else ""
    console.print(f"{len(applied)} checks, {f'{bad} not well' if bad else 'all well'}{others}.")


if __name__ == "__main__":
    run(main)
