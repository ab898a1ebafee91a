"""`make routes`: the tree of routes of a stack, and where each alert that it ships goes.

`--page` writes the table of the stacks of this repository into docs/routes.md.
"""

import argparse
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from components.alertmanager_config import config
from components.stack import select_rules
from settings import Settings
from settings.routing import split_matcher
from tools.console import run
from tools.rules import stack_settings
from tools.synth import ROOT

PAGE = ROOT / "docs" / "routes.md"
STACKS = ("dev", "prod")
HEAD = """# Where each alert goes

The receivers of every alert in the two stacks of this repository, written by `make docs`. A dash is an alert that the
stack does not ship. `make routes STACK=<name>` prints it for any stack, with the tree of routes; a test asks `amtool`
about each alert.

| alert | severity | team | component | {stacks} |
|---|---|---|---|{dashes}|
"""


def shipped(settings: Settings) -> list[dict[str, str]]:
    """Labels that each shipped alert has from its rule, with `alertname`; each set of them once."""
    rules = [rule for selection in select_rules(settings) for rule in selection.alerts()]
    labels = [{"alertname": rule["alert"], **rule["labels"]} for rule in rules]
    return [item for position, item in enumerate(labels) if item not in labels[:position]]


def told(route: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    """Receivers of an alert, as Alertmanager finds them: the first child that matches, and on where it says so."""
    found: list[str] = []
    for child in route.get("routes", []):
        if all(_matches(matcher, labels) for matcher in child.get("matchers", [])):
            found += told({"receiver": route["receiver"], **child}, labels)
            if not child.get("continue"):
                break
    return found or [route["receiver"]]


def _matches(matcher: str, labels: Mapping[str, str]) -> bool:
    label, operator, value = split_matcher(matcher)
    have = labels.get(label, "")
    same = bool(re.fullmatch(value, have)) if "~" in operator else have == value
    return same != operator.startswith("!")


def destinations(settings: Settings) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Each shipped alert with its receivers; for namespaces with routes of their own, as it is there, once more."""
    route = config(settings)["route"]
    patterns = [*settings.alertmanager.routes.namespaces]
    patterns += [entry.namespace for entry in settings.alertmanager.maintenance.values() if entry.namespace]
    for labels in shipped(settings):
        usual = told(route, labels)
        yield labels, usual
        for pattern in dict.fromkeys(patterns):
            there = {**labels, "namespace": pattern.replace("*", "x")}
            if told(route, there) != usual:
                yield there, told(route, there)


def tree(route: Mapping[str, Any], parent: Tree | None = None, inherited: str = "") -> Tree:
    """The routes as they are printed."""
    conditions = " and ".join(route.get("matchers", [])) or "everything else"
    muted = ", ".join(route.get("mute_time_intervals", []))
    words = {"group_wait": "wait", "group_interval": "again", "repeat_interval": "repeat"}
    timing = ", ".join(f"{word} {route[name]}" for name, word in words.items() if name in route)
    receiver = route.get("receiver", inherited)
    # A route that names nobody itself only leads to those below it.
    text = f"{conditions} -> {receiver}" if "receiver" in route else f"{conditions}: the first below, else {receiver}"
    text += f"  ({timing})" if timing else ""
    text += f"  not during {muted}" if muted else ""
    text += "  and on" if route.get("continue") else ""
    here = parent.add(text) if parent else Tree(text)
    for child in route.get("routes", []):
        tree(child, here, receiver)
    return here


def page() -> str:
    """Content of docs/routes.md."""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for stack in STACKS:
        for labels, receivers in destinations(stack_settings(stack)):
            key = tuple(labels[name] for name in ("alertname", "severity", "team", "component"))
            where = f" (in {labels['namespace']})" if "namespace" in labels else ""
            cell = rows.setdefault(key, {}).get(stack)
            rows[key][stack] = ", ".join([*([cell] if cell else []), ", ".join(receivers) + where])
    head = HEAD.format(stacks=" | ".join(STACKS), dashes="|".join("---" for _ in STACKS))
    lines = [
        " | ".join([*key, *(told_to.get(stack, "-") for stack in STACKS)]) for key, told_to in sorted(rows.items())
    ]
    return head + "".join(f"| {line} |\n" for line in lines)


def main() -> None:
    """Print the tree and the table, or write the page."""
    parser = argparse.ArgumentParser(prog="python -m tools.routes", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--stack", help="the name in Pulumi.<stack>.yaml")
    what.add_argument("--page", action="store_true", help="write docs/routes.md")
    arguments = parser.parse_args()
    if arguments.page:
        PAGE.write_text(page(), encoding="utf-8")
        return
    stack = arguments.stack
    settings = stack_settings(stack)
    console = Console(width=None if Console().is_terminal else 160, highlight=False, markup=False)
    console.print(tree(config(settings)["route"]))
    table = Table("alert", "severity", "team", "component", "namespace", "goes to", title=f"Alerts of stack {stack}")
    nobody = 0
    for labels, receivers in destinations(settings):
        nobody += receivers == ["nobody"]
        where = labels.get("namespace", "any")
        names = [labels[name] for name in ("alertname", "severity", "team", "component")]
        table.add_row(*names, where, ", ".join(receivers))
    console.print(table)
    console.print(f"{table.row_count} rows, {nobody} of them go to nobody.")


if __name__ == "__main__":
    run(main)
