"""Silences of a stack file in the cluster: the Job brings them to Alertmanager, changes them and takes them away."""

import json
from datetime import date, timedelta
from typing import Any

from settings.reader import secret_keys
from tools.access import Access
from tools.manifests import objects_of
from tools.rules import stack_settings
from tools.synth import ROOT, stack_config, synthesize

UNTIL = date.today() + timedelta(days=30)


def silence(**changes: Any) -> dict[str, Any]:
    return {
        "matchers": ["alertname=PodPending", 'namespace=~"batch-.*"'],
        "reason": "new nodes come next month",
        "author": "ada",
        "until": UNTIL.isoformat(),
        **changes,
    }


def deploy(stack: Access, silences: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Apply the Job that the stack has with these silences, wait for its end; what is then in force, by author."""
    config = stack_config(ROOT / "Pulumi.dev.yaml")
    config["observability:alertmanager"] |= {"silences": silences}
    secrets = dict.fromkeys(secret_keys(stack_settings("dev")), "unused")
    [job] = synthesize("dev", config, secrets=secrets).of_type(":Job")
    stack.running.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(objects_of(job)))
    name, place = job.inputs["metadata"]["name"], f"--namespace={job.inputs['metadata']['namespace']}"
    stack.running.kubectl("wait", f"job/{name}", place, "--for=condition=Complete", "--timeout=120s")
    found = stack.read("alertmanager", "/api/v2/silences")
    return {one["createdBy"]: one for one in found if one["status"]["state"] != "expired"}


def test_silences_come_change_and_go(stack: Access) -> None:
    first = deploy(stack, [silence()])["ada"]
    assert first["endsAt"].startswith(f"{UNTIL}T23:59:59")
    assert {(m["name"], m["value"]) for m in first["matchers"]} == {
        ("alertname", "PodPending"),
        ("namespace", "batch-.*"),
    }
    both = deploy(stack, [silence(), silence(author="bob")])
    assert both["ada"]["id"] == first["id"], "what is there already is left alone"
    changed = deploy(stack, [silence(until=(UNTIL - timedelta(days=7)).isoformat())])
    assert set(changed) == {"ada"}
    assert changed["ada"]["id"] != first["id"]
    assert deploy(stack, []) == {}
