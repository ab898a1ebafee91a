"""Silences of the stack file, brought to Alertmanager by a Job that runs its own amtool.

The key of a silence stands in its comment: what is there already is left alone, and what the stack file no longer has
ends. Silences that people made by hand carry no key and are never touched.
"""

import hashlib
import shlex

import pulumi
import pulumi_kubernetes as k8s

from components import addresses, images, pods
from settings import Settings
from settings.base import Resources
from settings.routing import Silence

APP = "alertmanager-silences"
USER = 65534
FUNCTIONS = r"""
amtool() { command amtool --alertmanager.url="$URL" "$@"; }
keys() { sed -n 's/^\([0-9a-f-]\{36\}\) .*\[stack \([0-9a-f]\{12\}\)\].*$/\1 \2/p'; }
add() { key=$1; shift; case "$THERE" in *"$key"*) ;; *) amtool silence add "$@" ;; esac; }
"""


def key(silence: Silence) -> str:
    """Short name of a silence, made of all that it says."""
    return hashlib.sha256(silence.model_dump_json().encode()).hexdigest()[:12]


def script(silences: list[Silence]) -> str:
    """Shell script that makes Alertmanager at `$URL` hold exactly these silences of the stack file."""
    wanted = [silence for silence in silences if not silence.expired]
    keys = " ".join(key(silence) for silence in wanted)
    # Two steps: the end of a pipe would hide that Alertmanager does not answer, and nothing would be ended.
    there = ["FOUND=$(amtool silence query -o extended)", 'THERE=$(echo "$FOUND" | keys)']
    lines = ["set -eu", FUNCTIONS.strip(), *there, f"WANTED=' {keys} '"]
    lines += [f"add {key(silence)} {shlex.join(_arguments(silence))}" for silence in wanted]
    # New ones first: a silence whose reason was changed has no gap.
    end = 'case "$WANTED" in *" $key "*) ;; *) amtool silence expire "$id" ;; esac'
    lines += ['echo "$THERE" | while read -r id key; do', f'  [ -z "$id" ] || {end}', "done"]
    return "\n".join(lines) + "\n"


def _arguments(silence: Silence) -> list[str]:
    reason = " ".join(silence.reason.split())
    starts = [f"--start={silence.starts.isoformat(timespec='seconds')}"] if silence.starts else []
    return [
        f"--author={silence.author}",
        f"--comment={reason} [stack {key(silence)}]",
        *starts,
        f"--end={silence.ends.isoformat(timespec='seconds')}",
        *silence.matchers,
    ]


def warn(silences: list[Silence]) -> list[str]:
    """One sentence for each silence that has lapsed."""
    return [
        f"alertmanager.silences: the silence of {', '.join(silence.matchers)} by {silence.author} ended "
        f"{silence.until} and is left out; remove it from the stack file, or set a new date after a look at its reason"
        for silence in silences
        if silence.expired
    ]


def job(name: str, settings: Settings, parent: pulumi.Resource) -> None:
    """The Job, new whenever the silences are: a Job's pod cannot be changed. Lapsed silences are warned of."""
    silences = settings.alertmanager.silences or []
    for sentence in warn(silences):
        pulumi.log.warn(sentence)
    text = script(silences)
    namespace = settings.namespaces.main
    url = addresses.service(addresses.ALERTMANAGER, namespace, addresses.ALERTMANAGER_PORT)
    container = {
        "name": "amtool",
        "image": images.reference("alertmanager", settings),
        "command": ["/bin/sh", "-c", text],
        "env": [{"name": "URL", "value": url}],
        "resources": Resources(cpu="10m", memory="32Mi", memory_limit="64Mi").manifest(),
        "securityContext": pods.RESTRICTED_CONTAINER,
    }
    k8s.batch.v1.Job(
        name,
        # Alertmanager may start after it: the Job tries again until it answers, and nothing waits for that.
        metadata=pods.metadata(APP, namespace, f"{APP}-{pods.checksum(text)}", **pods.NO_WAIT),
        spec={
            "backoffLimit": 20,
            "template": {
                "metadata": {"labels": pods.labels(APP)},
                "spec": {
                    "restartPolicy": "OnFailure",
                    "automountServiceAccountToken": False,
                    "priorityClassName": pods.PRIORITY_CLASS,
                    "securityContext": pods.restricted_pod(USER),
                    "containers": [container],
                },
            },
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )
