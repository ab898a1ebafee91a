"""`make new-cluster NAME=... DISTRIBUTION=... CONTEXT=... ENVIRONMENT=...`: writes the stack file of a further cluster.

It asks on a terminal for what is not given. The file is written only if the settings accept it.
"""

import argparse
import sys
from pathlib import Path

import yaml

from settings import parse
from settings.cluster import Distribution
from settings.environment import load
from settings.reader import PROJECT, secret_keys
from tools.console import UserError, run, say
from tools.synth import ROOT

HEAD = """\
# yaml-language-server: $schema=settings.schema.json
# Stack of the cluster {name}. Every key is described in docs/settings.md; what is not set has its default.
config:
{environment}  observability:cluster:
    # The value of the label `cluster` on every series, log line and alert. Do not change it later.
    name: {name}
    distribution: {distribution}
{context}    # Software whose alerts are shipped: argo-cd, calico, cert-manager, flux, postgresql and more.
    runs: []
"""
ENVIRONMENT = """\
  # What clusters of this kind share, from settings/environments/{environment}.yaml: {sections}.
  # What this file says itself wins, key by key.
  observability:environment: {environment}
"""
SECTIONS = {
    "prometheus": """\
  observability:prometheus:
    # At least 31d for the availability over 30 days. See docs/sizing.md.
    retention: 10d
    volumeSize: 20Gi
    # externalUrl: https://prometheus.example.com
""",
    "grafana": """\
  observability:grafana:
    enabled: true
    # externalUrl: https://grafana.example.com
""",
    "loki": """\
  observability:loki:
    retention: 7d
    volumeSize: 10Gi
    # Three replicas need object storage:
    # replicas: 3
    # storage: {type: s3, bucket: example-loki, region: eu-central-1}
""",
    "alertmanager": """\
  observability:alertmanager:
    # Other kinds: slack, msteams, telegram, email, pagerduty and more. See docs/delivery.md.
    receivers:
      team:
        - {kind: webhook, urlSecret: teamUrl}
    routes: {critical: team, warning: team, info: team}
    # Outside services that call when their beat stops. `heartbeat: none` if nothing watches this cluster.
    heartbeat: {urlSecret: heartbeatUrl, logsUrlSecret: heartbeatLogsUrl}
""",
    "dcgm": """\
  observability:dcgm:
    # deploy where nodes have NVIDIA GPUs, existing where the GPU operator already runs the exporter.
    mode: "off"
""",
}
REST = """\
  # observability:blackbox:
  #   probes:
  #     public:
  #       module: http_2xx
  #       targets:
  #         - {service: web, address: https://www.example.com/}
  # observability:alerts:
  #   tune:
  #     HighCPUUsage: {threshold: 90%, for: 15m}
"""


def content(name: str, distribution: str, context: str | None, environment: str | None = None) -> str:
    """Text of the stack file, without what its environment brings.

    Raises SettingsError where the settings refuse a value, UserError where there is no such environment.
    """
    try:
        shared = load(environment) if environment else {}
    except ValueError as error:
        raise UserError(f"ENVIRONMENT: {error}") from None
    line = f"    context: {_scalar(context)}\n" if context else ""
    said = ENVIRONMENT.format(environment=environment, sections=", ".join(shared)) if environment else ""
    head = HEAD.format(name=_scalar(name), distribution=_scalar(distribution), context=line, environment=said)
    text = "".join([head, *(text for section, text in SECTIONS.items() if section not in shared), REST])
    parse(_sections(text), f"Pulumi.{name}.yaml", check_secrets=False)
    return text


def _scalar(value: str) -> str:
    # Quoted where YAML would read something else, as in a cluster called `no` or `007`.
    return str(yaml.safe_dump(value, width=10_000, allow_unicode=True)).split("\n", maxsplit=1)[0]


def _sections(text: str) -> dict[str, object]:
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in yaml.safe_load(text)["config"].items()}


def create(
    name: str, distribution: str, context: str | None, folder: Path = ROOT, environment: str | None = None
) -> Path:
    """Write the stack file into `folder`.

    Raises SettingsError for a value that the settings refuse, UserError where the stack exists or two stacks would
    share a context.
    """
    if distribution != Distribution.LOCAL and not context:
        raise UserError(
            "a cluster of its own needs a context of the kubeconfig: CONTEXT=<one of kubectl config get-contexts>"
        )
    text = content(name, distribution, context, environment)
    file = folder / f"Pulumi.{name}.yaml"
    for other in sorted(folder.glob("Pulumi.*.yaml")):
        cluster = (
            (yaml.safe_load(other.read_text(encoding="utf-8")) or {}).get("config", {}).get(f"{PROJECT}:cluster", {})
        )
        if other == file:
            raise UserError(f"{file.name} exists already; choose another NAME, or edit the file")
        if cluster.get("name") == name:
            raise UserError(f"{other.name} is the stack of a cluster called {name} already; choose another NAME")
        if context and cluster.get("context") == context:
            raise UserError(f"{other.name} deploys to the context {context} already; two stacks would fight over it")
    with file.open("x", encoding="utf-8") as stream:
        stream.write(text)
    return file


def next_steps(name: str, text: str) -> str:
    """What to do after the file is there, as commands."""
    secrets = secret_keys(parse(_sections(text), f"Pulumi.{name}.yaml", check_secrets=False))
    return "\n".join(
        [
            f"Pulumi.{name}.yaml is written. Next:",
            f"  pulumi stack init {name}",
            *(f"  pulumi config set --stack {name} --secret {PROJECT}:{key}" for key in secrets),
            f"  make rules STACK={name}",
            f"  make preview STACK={name}",
            f"  make up STACK={name}",
            f"  make verify STACK={name}",
        ]
    )


def _ask(given: str | None, question: str, key: str) -> str:
    if given:
        return given
    if not sys.stdin.isatty():
        raise UserError(f"{key} is missing: make new-cluster NAME=edge DISTRIBUTION=k3s CONTEXT=edge")
    return input(f"{question}: ").strip()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.new_cluster", description=__doc__)
    parser.add_argument("--name", help="name of cluster and stack, for example edge")
    parser.add_argument("--distribution", help=", ".join(Distribution))
    parser.add_argument("--context", help="context of the kubeconfig")
    parser.add_argument("--environment", help="file of settings/environments whose values it shares; none by default")
    arguments = parser.parse_args()
    name = _ask(arguments.name, "Name of the cluster", "NAME")
    distribution = _ask(arguments.distribution, f"Distribution ({', '.join(Distribution)})", "DISTRIBUTION")
    context = arguments.context
    if distribution != Distribution.LOCAL:
        context = _ask(context, "Context of the kubeconfig", "CONTEXT")
    file = create(name, distribution, context or None, environment=arguments.environment or None)
    say(next_steps(name, file.read_text(encoding="utf-8")))


if __name__ == "__main__":
    run(main)
