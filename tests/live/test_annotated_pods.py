"""The ScrapeConfig for annotated pods, run by a real Prometheus on what its discovery would say of pods."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import annotated_pods
from settings.metrics import AnnotatedPods
from tests.daemon import daemon
from tests.live.probes import daemons
from tests.live.probes.servers import LOCAL, http
from tools.binaries import find
from tools.ports import free_ports
from tools.rules import stack_settings

SNAKE = re.compile(r"(?<=[a-z])([A-Z])")


def pod(name: str, *, ip: str = LOCAL, scrape: str = "true", phase: str = "Running", **more: str) -> dict[str, str]:
    """Labels of one target of a pod, as discovery gives them."""
    meta = {
        "pod_name": name,
        "pod_ip": ip,
        "pod_phase": phase,
        "pod_container_init": "false",
        "pod_node_name": "node-1",
        "namespace": "shop",
        "pod_annotation_prometheus_io_scrape": scrape,
        **more,
    }
    return {f"__meta_kubernetes_{key}": value for key, value in meta.items()}


def port(number: object, protocol: str = "TCP") -> dict[str, str]:
    return {"pod_container_port_number": str(number), "pod_container_port_protocol": protocol}


def pods(served: str) -> list[dict[str, str]]:
    annotated = {"pod_annotation_prometheus_io_port": served}
    return [
        pod("declared", **port(served), pod_label_app_kubernetes_io_name="web", pod_label_app="other"),
        pod("annotated", **port(8080), **annotated, pod_label_app="old"),
        # Two containers of one pod: one target, not two.
        pod("annotated", **port(9090), **annotated, pod_label_app="old"),
        pod("path", **port(served), pod_annotation_prometheus_io_path="/api/metrics?x=1"),
        pod("secure", **port(served), pod_annotation_prometheus_io_scheme="https"),
        pod("six", ip="fd00::7", **port(9090)),
        pod("bad-scheme", **port(served), pod_annotation_prometheus_io_scheme="ftp"),
        pod("silent", scrape="false", **port(served)),
        pod("finished", phase="Succeeded", **port(served)),
        pod("waiting", phase="Pending", **port(served)),
        pod("udp", **port(served, "UDP")),
        pod("portless"),
        pod("init", **port(served), pod_container_init="true"),
    ]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("annotated")
    [listen] = free_ports(1)
    with http(folder) as address:
        config = folder / "prometheus.yaml"
        config.write_text(yaml.safe_dump({"scrape_configs": [scrape(address.rpartition(":")[2])]}))
        command = [find("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb"]
        url = f"http://{LOCAL}:{listen}"
        log = Path(folder) / "log"
        with daemon([*command, f"--web.listen-address={LOCAL}:{listen}"], log) as alive:
            assert daemons.wait("Prometheus", lambda: daemons.answers(f"{url}/-/ready"), alive)

            def tried() -> bool:
                active = daemons.get(f"{url}/api/v1/targets")["activeTargets"]
                return bool(active) and all(one["health"] != "unknown" for one in active)

            assert daemons.wait("scrapes", tried, alive)
            yield daemons.get(f"{url}/api/v1/targets", state="any")


def scrape(served: str) -> dict[str, Any]:
    """The rendered relabelings, with targets in place of discovery."""
    metrics = AnnotatedPods(enabled=True)
    settings = stack_settings("dev")
    settings = settings.model_copy(
        update={"prometheus": settings.prometheus.model_copy(update={"annotated_pods": metrics})}
    )
    spec = annotated_pods.spec(settings)
    rules = [{SNAKE.sub(r"_\1", key).lower(): value for key, value in rule.items()} for rule in spec["relabelings"]]
    rules = [{**rule, "action": rule["action"].lower()} for rule in rules]
    statics = [{"targets": [f"{LOCAL}:1"], "labels": labels} for labels in pods(served)]
    return {
        "job_name": "scrapeConfig",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "sample_limit": spec["sampleLimit"],
        "static_configs": statics,
        "relabel_configs": rules,
    }


def active(targets: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["labels"]["pod"]: one for one in targets["activeTargets"]}


def test_pods_that_ask_are_scraped_once(targets: dict[str, Any]) -> None:
    assert sorted(one["labels"]["pod"] for one in targets["activeTargets"]) == [
        "annotated",
        "bad-scheme",
        "declared",
        "path",
        "secure",
        "six",
    ]
    assert len(targets["droppedTargets"]) == 6


def test_addresses(targets: dict[str, Any]) -> None:
    urls = {name: one["scrapeUrl"] for name, one in active(targets).items()}
    served = urls["declared"].removeprefix(f"http://{LOCAL}:").removesuffix("/metrics")
    assert urls == {
        "declared": f"http://{LOCAL}:{served}/metrics",
        "annotated": f"http://{LOCAL}:{served}/metrics",
        "path": f"http://{LOCAL}:{served}/api/metrics%3Fx=1",
        "secure": f"https://{LOCAL}:{served}/metrics",
        "bad-scheme": f"http://{LOCAL}:{served}/metrics",
        "six": "http://[fd00::7]:9090/metrics",
    }


def test_jobs_are_of_their_namespace(targets: dict[str, Any]) -> None:
    jobs = {name: one["labels"]["job"] for name, one in active(targets).items()}
    assert jobs["declared"] == "shop/web"
    assert jobs["annotated"] == "shop/old"
    assert jobs["path"] == "shop/annotated-pods"
    assert all(one["labels"]["namespace"] == "shop" for one in active(targets).values())
    assert all(one["labels"]["node"] == "node-1" for one in active(targets).values())
