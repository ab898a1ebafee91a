"""Promtail on a real node: every kind of pod is found in Loki, each container under exactly its labels."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.traces import wait_for
from tests.live.pipeline.test_discovery import lists_of_pods
from tests.local.test_stack import MINUTES, apply, lines
from tools.access import Access
from tools.cluster import node
from tools.cluster.node import STATIC_PODS
from tools.fire.cause import BUSYBOX, pod

STAY = "sleep infinity"
STATIC = "static"
LATE = "pods-late"


def container(name: str, script: str) -> dict[str, Any]:
    return {"name": name, "image": BUSYBOX, "command": ["sh", "-c", script]}


def spec(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"terminationGracePeriodSeconds": 1, "containers": list(containers), **more}


PODS = {
    "pods-one": [
        pod(spec(container("main", f"echo of one; {STAY}")), "same"),
        pod(spec(container("left", f"echo of left; {STAY}"), container("right", f"echo of right; {STAY}")), "pair"),
    ],
    "pods-two": [
        # The same name in another namespace.
        pod(spec(container("main", f"echo of two; {STAY}")), "same"),
        pod(
            spec(container("main", f"echo of main; {STAY}"), initContainers=[container("init", "echo of init")]),
            "prepared",
        ),
        # Each life is a file of its own, and kubelet keeps two.
        pod(spec(container("main", "date +%s%N; sleep 4; exit 1")), "restarting"),
    ],
}
WANTED = {
    ("pods-one", "same", "main"): "of one",
    ("pods-one", "pair", "left"): "of left",
    ("pods-one", "pair", "right"): "of right",
    ("pods-two", "same", "main"): "of two",
    ("pods-two", "prepared", "main"): "of main",
    ("pods-two", "prepared", "init"): "of init",
}


@pytest.fixture(scope="module")
def written(stack: Access) -> Iterator[Access]:
    try:
        for namespace, objects in PODS.items():
            apply(stack, namespace, *objects)
        yield stack
    finally:
        # A pod that restarts without end would be an alert in the tests after these.
        stack.running.kubectl("delete", "namespace", *PODS, LATE, "--ignore-not-found", "--timeout=120s")


def labels(namespace: str, name: str, one: str, app: str) -> dict[str, str]:
    return {
        "cluster": "dev",
        "namespace": namespace,
        "pod": name,
        "container": one,
        "app": app,
        "job": f"{namespace}/{app}",
        "node": node.NAME,
    }


def found(stack: Access, namespace: str) -> dict[tuple[str, str, str], list[tuple[dict[str, str], str]]]:
    """Lines of a namespace by pod and container; what Loki adds to a line is no label of its stream."""
    result: dict[tuple[str, str, str], list[tuple[dict[str, str], str]]] = {}
    for stream, text in lines(stack, namespace):
        own = {key: value for key, value in stream.items() if key != "detected_level"}
        result.setdefault((namespace, own["pod"], own["container"]), []).append((own, text))
    return result


@pytest.mark.parametrize("place", WANTED)
def test_a_container_is_found_under_exactly_its_labels(written: Access, place: tuple[str, str, str]) -> None:
    namespace, name, one = place
    [line] = wait_for(f"line of {name}", lambda: found(written, namespace).get(place, []), bool, MINUTES)
    assert line == (labels(namespace, name, one, name), WANTED[place])


def test_every_life_of_a_container_is_one_stream(written: Access) -> None:
    place = ("pods-two", "restarting", "main")

    def lives() -> list[tuple[dict[str, str], str]]:
        seen = found(written, "pods-two").get(place, [])
        return seen if len(seen) >= 3 else []

    seen = wait_for("three lives", lives, bool, 3 * MINUTES)
    assert all(own == labels(*place, "restarting") for own, _ in seen)
    assert len({text for _, text in seen}) == len(seen), "a life is there twice"


def test_a_static_pod(written: Access) -> None:
    """Its folder is named after the hash of its file; the API server knows it as a mirror only."""
    folder = written.running.state.folder / STATIC_PODS
    folder.mkdir(exist_ok=True)
    item = pod(spec(container("main", f"echo of static; {STAY}")), STATIC)
    item["metadata"]["namespace"] = "pods-one"
    (folder / "pod.json").write_text(json.dumps(item))
    name = f"{STATIC}-{node.NAME}"
    place = ("pods-one", name, "main")
    try:
        [line] = wait_for(
            "line of the static pod", lambda: found(written, "pods-one").get(place, []), bool, 2 * MINUTES
        )
        assert line == (labels(*place, STATIC), "of static")
    finally:
        (folder / "pod.json").unlink()


def test_discovery_asks_the_api_server_little(written: Access) -> None:
    """Agents watch: while pods come and go nobody asks for all of them again and again."""
    before = lists_of_pods(written.running)
    apply(written, LATE, pod(spec(container("main", f"echo of late; {STAY}")), "late"))
    place = (LATE, "late", "main")
    wait_for("line of the late pod", lambda: found(written, LATE).get(place, []), bool, MINUTES)
    assert lists_of_pods(written.running) - before <= 5
