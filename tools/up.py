"""`make up`, `make preview` and `make down`: a stack onto the local cluster, or by the engine onto its own."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from components.versions import CHARTS
from settings.cluster import Distribution
from settings.reader import authority_keys
from tools import charts, cluster, engine, engine_up, readiness, volumes
from tools.access import access
from tools.apply import LocalSecrets, apply
from tools.cluster import LOCAL
from tools.console import UserError, run, say
from tools.inbox import local as inbox
from tools.inbox.redirect import redirected, redirected_config
from tools.manifests import Manifests, images, manifests
from tools.page import Page, complete, show
from tools.reach import reach
from tools.render import report
from tools.rules import stack_settings
from tools.stand_in import GRAFANA_IMAGES, STANDS_FOR, without_grafana
from tools.stand_in.kinds import Object
from tools.synth import ROOT


def is_local(stack: str) -> bool:
    """Whether the stack's cluster is the local one. Raises SettingsError for mistakes in its file."""
    return stack_settings(stack).cluster.distribution is Distribution.LOCAL


def why_no_engine() -> str | None:
    """Reason why the local stack cannot go by the engine; None where it can."""
    found = engine.find(install=True)
    if isinstance(found, str):
        return found
    missing = [name for name in CHARTS if charts.chart(name) is None]
    return f"the charts {', '.join(missing)} cannot be reached" if missing else None


def up_local(stack: str, *, fake_nodes: bool = False, folder: Path = LOCAL) -> None:
    """The local cluster with its files in `folder`, the stack on it, and a page that says what runs.

    Raises UserError; where a part of the cluster ended, its message names that one.
    """
    with cluster.naming_ended(folder):
        _up_local(stack, fake_nodes=fake_nodes, folder=folder)


def _up_local(stack: str, *, fake_nodes: bool, folder: Path) -> None:
    reason = why_no_engine()
    way = "kubectl" if reason else "engine"
    marker = folder / "way"
    if marker.exists() and marker.read_text() != way:
        say(f"The local cluster was deployed by {marker.read_text()}; it is recreated for {way}.")
        cluster.stop(folder)
    running = cluster.start(folder, fake_nodes_only=fake_nodes)
    marker.write_text(way)
    runs = running.mode != "fake"
    local = LocalSecrets(folder / "secrets.json")
    rendered, missing = _rendered(stack, running, local)
    if runs:
        inbox.start(running)
    if reason:
        say(f"Deploying by kubectl apply of the rendered objects, because {reason}. For the local cluster only.")
        report(rendered)
        rendered.objects = redirected(rendered.objects)
        changed = apply(running.kubeconfig, rendered)
        say(f"{len(rendered.objects)} objects applied, {len(changed)} of them changed.")
    else:
        say("Deploying by the Pulumi engine: CLI, plugins and charts are there.")
        local_stack = _local_stack(stack, folder)
        change = without_grafana if any(map(_is_grafana, missing)) else dict
        secret = _secret(stack, local)
        with engine_up.alone(local_stack):
            local_stack.prepare(running.kubeconfig, secret, change=lambda config: redirected_config(change(config)))
            engine_up.up(local_stack, running, stack_settings(stack).namespaces.main)
        if runs:
            _put_stand_ins(running, rendered.objects)
    page = Page(stack, way, stand_ins=[*rendered.stand_ins, *_said(missing)])
    if runs:
        there = [item for item in rendered.objects if not set(images([item])) & set(missing)]
        readiness.wait(running.kubeconfig, there)
        opened = access(running, stack_settings(stack))
        opened.wait()
        page = complete(page, opened)
    show(page)
    say(f"Talk to the cluster by: kubectl --kubeconfig {running.kubeconfig} get pods -A")


def _rendered(stack: str, running: cluster.Cluster, local: LocalSecrets) -> tuple[Manifests, list[str]]:
    """The stack as this cluster can run it, and the images that cannot be had: with Grafana's goes Grafana."""
    file = ROOT / f"Pulumi.{stack}.yaml"
    secret = _secret(stack, local)
    rendered = manifests(stack, file, secrets=secret, password=local.password, local=True)
    missing = running.ensure_images(images(rendered.objects)).missing if running.mode != "fake" else []
    if any(map(_is_grafana, missing)):
        rendered = manifests(stack, file, secrets=secret, password=local.password, local=True, grafana=False)
    return rendered, missing


def _secret(stack: str, local: LocalSecrets) -> Callable[[str], str]:
    """What stands for a secret that the stack file does not hold, by its key."""
    authorities = authority_keys(stack_settings(stack))
    return lambda key: local.certificate(key) if key in authorities else inbox.secret(key)


def _put_stand_ins(running: cluster.Cluster, objects: list[Object]) -> None:
    """Replace what the engine has made by what stands in for it here: the program knows the real thing only.

    Replaced, not applied: of two who apply each would keep its own containers in the pod.
    """
    for item in objects:
        if STANDS_FOR in item["metadata"].get("labels", {}):
            own = item["kind"] == "ConfigMap"
            how = ["apply", "--server-side", "--force-conflicts"] if own else ["replace"]
            running.kubectl(*how, "--filename=-", stdin=json.dumps(item))


def _is_grafana(image: str) -> bool:
    return image.rpartition(":")[0] in GRAFANA_IMAGES


def _said(missing: list[str]) -> Iterator[str]:
    """What goes with images that cannot be had, in words."""
    if any(map(_is_grafana, missing)):
        yield "No image of Grafana can be had here: Grafana, its rules and the dashboards are left out."
    for name in missing:
        if not _is_grafana(name):
            yield f"Image {name} cannot be had here; its pods do not run."


def _local_stack(stack: str, folder: Path) -> engine.LocalStack:
    found = engine.find()
    if isinstance(found, str):
        raise UserError(f"{found}. Install Pulumi (https://www.pulumi.com/docs/install/) and run it again.")
    return engine.LocalStack(found, stack, folder / "engine")


def with_engine(command: str, stack: str, *, yes: bool) -> None:
    """Run `up`, `preview` or `destroy` of the engine on a stack of its own cluster, with the user's own backend."""
    found = engine.find()
    if isinstance(found, str):
        raise UserError(
            f"{found}. A cluster other than the local one is deployed by the Pulumi engine only: install it "
            "(https://www.pulumi.com/docs/install/), log in to your backend (pulumi login), and run it again."
        )
    if command != "preview" and not yes:
        if not sys.stdin.isatty():
            raise UserError(f"{command} of stack {stack} changes a real cluster; confirm it with YES=1")
        if input(f"{command} of stack {stack} changes a real cluster. Type the stack's name to go on: ") != stack:
            raise UserError("not confirmed; nothing was changed")
    if command != "destroy":
        settings = stack_settings(stack)
        volumes.warn(reach(settings, LOCAL), settings)
    found.run([command, "--stack", stack, *([] if command == "preview" else ["--yes"])], {})


def preview(stack: str) -> None:
    """What `up` would change."""
    if not is_local(stack):
        with_engine("preview", stack, yes=False)
        return
    with cluster.naming_ended(LOCAL):
        kubeconfig = cluster.start(LOCAL).kubeconfig
        local_stack = _local_stack(stack, LOCAL)
        secret = _secret(stack, LocalSecrets(LOCAL / "secrets.json"))
        with engine_up.alone(local_stack):
            local_stack.prepare(kubeconfig, secret, change=redirected_config)
            local_stack.run("preview", "--diff", adopt=engine_up.was_cut_off(local_stack))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.up", description=__doc__)
    parser.add_argument("command", choices=["up", "preview", "down"])
    parser.add_argument("--stack", default="dev", help="the name in Pulumi.<stack>.yaml")
    parser.add_argument("--yes", action="store_true", help="do not ask before a real cluster is changed")
    parser.add_argument("--fake-nodes", action="store_true", help="local cluster without a real node")
    arguments = parser.parse_args()
    stack = arguments.stack
    if arguments.command == "preview":
        preview(stack)
    elif not is_local(stack):
        with_engine("up" if arguments.command == "up" else "destroy", stack, yes=arguments.yes)
    elif arguments.command == "up":
        up_local(stack, fake_nodes=arguments.fake_nodes)
    else:
        cluster.stop(Path(LOCAL))


if __name__ == "__main__":
    run(main)
