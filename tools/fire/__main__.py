"""`make fire ALERT=<name>`: causes a fault on the local cluster and follows its alert to the inbox.

Several names, with blanks between, are caused at once. Without a name the table of all alerts is shown.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from rich.console import Console
from rich.table import Table

from components.stack import select_rules
from settings import Settings
from settings.base import seconds
from tools.access import Access, attach
from tools.cluster import LOCAL
from tools.console import UserError, run, say
from tools.fire.cause import BUSYBOX, Cause, Ground
from tools.fire.nodes import NODE_LABEL
from tools.fire.table import CAUSES, WHY_NOT
from tools.fire.trail import Trail
from tools.rules import stack_settings

POLL_SECONDS = 1.0
KEEP_SECONDS = 10.0
BEYOND_SECONDS = 900
"""How long an alert may take beyond its own `for`: its window, scrapes, the group wait, a busy machine."""
DAILY = "info"


def rules(settings: Settings) -> dict[str, tuple[str, dict[str, Any]]]:
    """Evaluator and rule of every alert that the stack ships, by name."""
    return {
        rule["alert"]: (evaluator, rule)
        for evaluator, selection in zip(("prometheus", "loki"), select_rules(settings), strict=True)
        for file in selection.files
        for group in file.groups
        for rule in group["rules"]
        if "alert" in rule
    }


def show_table(shipped: Iterable[str]) -> None:
    """Print what can be caused, and why the rest cannot."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table("alert", "cause", box=None)
    for name in sorted(shipped):
        table.add_row(name, CAUSES[name].what if name in CAUSES else f"not caused: {WHY_NOT.get(name, 'no cause yet')}")
    console.print(table)


def check(names: Iterable[str], shipped: dict[str, tuple[str, dict[str, Any]]]) -> None:
    """Raise UserError for an alert that is unknown, not shipped by the stack, or that nothing here causes."""
    for name in names:
        if name not in shipped and name not in CAUSES:
            close = get_close_matches(name, shipped, n=1)
            raise UserError(f"no alert of the stack is called {name}{f'; did you mean {close[0]}?' if close else ''}")
        if name not in shipped:
            raise UserError(f"the stack does not ship {name}: see make rules")
        if name not in CAUSES:
            raise UserError(f"{name} is not caused here: {WHY_NOT.get(name, 'no cause yet')}")


def ground_of(name: str, access: Access) -> Ground:
    """The namespace of an alert's cause."""
    return Ground(access, f"fire-{name.lower()}")


def start(name: str, ground: Ground) -> None:
    """Create the namespace and the objects, and take the first step."""
    cause = CAUSES[name]
    meta = {"name": ground.namespace, "labels": {"observability/fault": name}}
    objects: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": meta}]
    text = json.dumps(list(cause.objects)).replace("{namespace}", ground.namespace)
    for item in json.loads(text.replace("{main}", ground.access.namespaces.main)):
        item["metadata"]["namespace"] = ground.namespace
        objects.append(item)
    for item in objects:
        ground.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(item))
    if cause.start:
        cause.start(ground)


def clean(name: str, ground: Ground) -> list[str]:
    """Undo everything; returns in words what could not be undone. A failed step does not keep the others back."""
    failed: list[str] = []
    for undo in (CAUSES[name].stop, _remove):
        try:
            if undo:
                undo(ground)
        except UserError as error:
            failed.append(f"{name}: {error}")
        except Exception as error:
            failed.append(f"{name}: {error!r}")
    return failed


def _remove(ground: Ground) -> None:
    ground.kubectl("delete", "namespace", ground.namespace, "--ignore-not-found", "--wait=false")


def labels(cause: Cause, name: str, ground: Ground, rule: dict[str, Any]) -> dict[str, str]:
    """Labels by which the alert of this cause is told from others of its name."""
    chosen = {key: value.replace("{namespace}", ground.namespace) for key, value in cause.labels.items()}
    if name in NODE_LABEL:
        chosen["node"] = ground.namespace
    elif not chosen and "$labels.namespace" in json.dumps(rule["annotations"]):
        chosen["namespace"] = ground.namespace
    return chosen


def fire(names: list[str], access: Access, shipped: dict[str, tuple[str, dict[str, Any]]]) -> list[Trail]:
    """Cause the faults, follow their alerts until each was delivered or its time is over, and clean up."""
    grounds = {name: ground_of(name, access) for name in names}
    trails: list[Trail] = []
    started: list[str] = []
    try:
        for name in names:
            evaluator, rule = shipped[name]
            trail = Trail(name, rule, evaluator, labels(CAUSES[name], name, grounds[name], rule))
            say(f"{name}: {CAUSES[name].what}. The alert waits {rule.get('for', 'no time')} before it fires.")
            started.append(name)
            start(name, grounds[name])
            trail.note("caused", f"in namespace {grounds[name].namespace}")
            trails.append(trail)
        follow(trails, access, grounds)
    finally:
        with undisturbed():
            failed = [words for name in reversed(started) for words in clean(name, grounds[name])]
        for words in failed:
            say(f"not undone: {words}")
        if started and not failed:
            say("Cleaned up.")
    if failed:
        raise UserError("not all that was caused could be undone: see above")
    return trails


@contextmanager
def undisturbed() -> Iterator[None]:
    """Neither Ctrl-C nor SIGTERM reaches the block, or what it starts."""
    before = {how: signal.signal(how, signal.SIG_IGN) for how in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for how, handler in before.items():
            signal.signal(how, handler)


def follow(trails: list[Trail], access: Access, grounds: dict[str, Ground]) -> None:
    """Look at each trail once a second, and say each step."""
    limits = {trail.alert: seconds(trail.rule.get("for", "1s")) + BEYOND_SECONDS for trail in trails}
    kept = 0.0
    while True:
        waiting = [trail for trail in trails if not trail.done and time.time() - trail.began < limits[trail.alert]]
        if not waiting:
            return
        if time.monotonic() - kept > KEEP_SECONDS:
            kept = time.monotonic()
            for trail in waiting:
                keep = CAUSES[trail.alert].keep
                if keep:
                    keep(grounds[trail.alert])
        for trail in waiting:
            for step in trail.look(access, grounds[trail.alert].namespace, logs=CAUSES[trail.alert].logs):
                after, text = trail.seen[step]
                say(f"{after:7.1f} s  {trail.alert}  {step:<10} {text}")
            if "routed" in trail.seen and trail.rule["labels"]["severity"] == DAILY:
                trail.note("delivered", "with the daily digest")
        time.sleep(POLL_SECONDS)


def main() -> int:
    """The command line; the exit code is 1 where an alert did not arrive."""
    parser = argparse.ArgumentParser(prog="python -m tools.fire", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="ALERT")
    parser.add_argument("--stack", default="dev", help="the name in Pulumi.<stack>.yaml")
    arguments = parser.parse_args()
    settings = stack_settings(arguments.stack)
    shipped = rules(settings)
    if not arguments.names:
        show_table(shipped)
        return 0
    names = list(dict.fromkeys(name for argument in arguments.names for name in argument.split()))
    check(names, shipped)
    access = attach(LOCAL, settings, "prometheus", "loki", "alertmanager", "inbox")
    access.running.ensure_images([BUSYBOX])
    trails = fire(names, access, shipped)
    lost = [trail for trail in trails if not trail.done]
    for trail in lost:
        say(f"NOT DELIVERED: {trail.alert} came as far as: {list(trail.seen)[-1]}")
    return 1 if lost else 0


if __name__ == "__main__":
    run(main)
