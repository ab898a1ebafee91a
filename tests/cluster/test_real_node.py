"""The local cluster with a real node: containers run, names resolve, claims are bound, and nothing is left after it."""

import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.traces import traces, wait_for
from tools import cluster
from tools.cluster import namespaces, parts

REASON = namespaces.why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no real node on this machine: {REASON}")

SECONDS = 60
BUSYBOX = "docker.io/library/busybox:1.36.1"
NGINX = "docker.io/nginxinc/nginx-unprivileged:1.30.1-alpine"
RESTRICTED = """
      securityContext: {runAsNonRoot: true, runAsUser: 101, fsGroup: 101, seccompProfile: {type: RuntimeDefault}}
"""
WEB = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: web, labels: {{pod-security.kubernetes.io/enforce: restricted}}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data, namespace: web}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: site, namespace: web}}
data:
  site.conf: "server {{ listen 8080; location / {{ return 200 hello; }} }}"
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: web}}
spec:
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:{RESTRICTED.rstrip()}
      containers:
        - name: web
          image: {NGINX}
          readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
          resources: {{limits: {{cpu: 500m, memory: 64Mi}}}}
          securityContext: &tight {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
          volumeMounts: [{{name: site, mountPath: /etc/nginx/conf.d}}]
        - name: shell
          image: {BUSYBOX}
          args: [sh, -c, "echo started > /data/proof; echo a line; sleep infinity"]
          securityContext: *tight
          volumeMounts: [{{name: data, mountPath: /data}}]
      volumes:
        - {{name: site, configMap: {{name: site}}}}
        - {{name: data, persistentVolumeClaim: {{claimName: data}}}}
"""
# Without a selector, so that the endpoints of both ports are known before the Service has the second one: kube-proxy
# rightly refuses connections to a port whose endpoints it does not know, for a second when it hears of them later.
EARLY = """
apiVersion: v1
kind: Service
metadata: {{name: early, namespace: web}}
spec: {{ports: [{ports}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: early, namespace: web, labels: {{kubernetes.io/service-name: early}}}}
addressType: IPv4
endpoints: [{{addresses: [{pod}]}}]
ports: [{{name: first, port: 8080}}, {{name: second, port: 8080}}]
"""
FIRST_PORT = "{name: first, port: 80, targetPort: 8080}"
SECOND_PORT = "{name: second, port: 81, targetPort: 8080}"
DROPPED = re.compile(r"^\[(\d+):\d+\] -A POSTROUTING -d \S+ -j DROP$", re.MULTILINE)


def network_of(process: Path) -> str | None:
    try:
        return str((process / "ns" / "net").readlink())
    except OSError:
        return None


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cluster.Cluster]:
    folder = tmp_path_factory.mktemp("real") / "cluster"
    before = traces(folder)
    try:
        started = cluster.start(folder)
        inside = network_of(Path("/proc", str(started.state.parts[namespaces.HOLDER].pid)))
        started.ensure_images([BUSYBOX, NGINX])
        started.kubectl("apply", "--server-side", "--filename=-", stdin=WEB)
        yield started
    finally:
        cluster.stop(folder)
    assert traces(folder) == before
    assert inside not in {network_of(process) for process in Path("/proc").glob("[0-9]*")}
    assert not any(part.alive for part in started.state.running())


@pytest.fixture(scope="module")
def web(running: cluster.Cluster) -> str:
    """The name of the Ready web pod."""
    running.kubectl("--namespace=web", "rollout", "status", "deployment/web", "--timeout=300s")
    pods = json.loads(running.kubectl("--namespace=web", "get", "pods", "--output=json"))["items"]
    return str(pods[0]["metadata"]["name"])


def shell(running: cluster.Cluster, pod: str, command: str) -> str:
    return running.kubectl("--namespace=web", "exec", pod, "--container=shell", "--", "sh", "-c", command)


def dropped(running: cluster.Cluster) -> int:
    """How many packets to Services were dropped because kube-proxy had not written their rules."""
    saved = namespaces.run_inside(running.state, ["iptables-save", "--counters", "--table=mangle"])
    [count] = DROPPED.findall(saved)
    return int(count)


def test_the_real_node_and_the_fake_ones_are_ready(running: cluster.Cluster) -> None:
    assert running.mode == "real"
    nodes = json.loads(running.kubectl("get", "nodes", "--output=json"))["items"]
    versions = {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}
    assert versions["local"] == "v1.36.3"
    assert sorted(versions) == ["fake-gpu", "fake-plain", "local"]


def test_a_restricted_pod_runs_and_its_log_is_read(running: cluster.Cluster, web: str) -> None:
    read = partial(running.kubectl, "--namespace=web", "logs", web, "--container=shell")
    wait_for("line by kubectl logs", read, lambda text: text == "a line\n", SECONDS)
    logs = running.state.folder / "node" / "log" / "pods"
    assert any(path.read_text().endswith("stdout F a line\n") for path in logs.glob("web_web-*/shell/0.log"))


def test_a_claim_is_bound_and_written_by_a_user_without_rights(running: cluster.Cluster, web: str) -> None:
    assert running.kubectl("--namespace=web", "get", "pvc/data", "--output=jsonpath={.status.phase}") == "Bound"
    wait_for("file on the claim", partial(shell, running, web, "cat /data/proof"), "started\n".__eq__, SECONDS)


def test_names_resolve_to_services_that_answer(running: cluster.Cluster, web: str) -> None:
    """A pod is Ready before DNS and kube-proxy on its node know: each of them takes its time."""
    address = running.kubectl("--namespace=web", "get", "service/web", "--output=jsonpath={.spec.clusterIP}")
    ask = partial(shell, running, web, "nslookup web.web.svc.cluster.local 2>&1 || true")
    wait_for("address of the Service by DNS", ask, lambda text: f"Address: {address}" in text, SECONDS)
    call = partial(shell, running, web, f"wget -q -O - http://{address}/ 2>&1 || true")
    wait_for("answer of the Service", call, "hello".__eq__, SECONDS)


def test_a_connection_that_is_earlier_than_the_rules_of_its_service_comes_about(
    running: cluster.Cluster, web: str
) -> None:
    """It is repeated by TCP itself until kube-proxy has written the rules, and not sent astray before."""
    pod = running.kubectl("--namespace=web", "get", f"pod/{web}", "--output=jsonpath={.status.podIP}")
    apply = partial(running.kubectl, "apply", "--server-side", "--filename=-")
    apply(stdin=EARLY.format(pod=pod, ports=FIRST_PORT))
    address = running.kubectl("--namespace=web", "get", "service/early", "--output=jsonpath={.spec.clusterIP}")
    call = partial(shell, running, web, f"wget -q -O - http://{address}/ 2>&1 || true")
    wait_for("answer of the Service's first port", call, "hello".__eq__, SECONDS)
    proxy, before = running.state.parts["kube-proxy"].pid, dropped(running)
    os.kill(proxy, signal.SIGSTOP)
    try:
        apply(stdin=EARLY.format(pod=pod, ports=f"{FIRST_PORT}, {SECOND_PORT}"))
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(shell, running, web, f"wget -q -O - http://{address}:81/ 2>&1 || true")
            wait_for("dropped packet to the Service", partial(dropped, running), before.__lt__, SECONDS)
            os.kill(proxy, signal.SIGCONT)
            assert answer.result(timeout=SECONDS) == "hello"
    finally:
        os.kill(proxy, signal.SIGCONT)


def test_names_outside_do_not_exist(running: cluster.Cluster, web: str) -> None:
    ask = partial(shell, running, web, "nslookup example.org 2>&1 || true")
    wait_for("denial by DNS", ask, lambda text: "NXDOMAIN" in text, SECONDS)


def test_a_service_is_reached_from_this_machine_by_a_forwarded_port(running: cluster.Cluster, web: str) -> None:
    address = running.kubectl("--namespace=web", "get", "service/web", "--output=jsonpath={.spec.clusterIP}")
    port = parts.free_ports("real")["api"]
    running.forward(port, address, 80)

    def read() -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                return bytes(answer.read())
        except OSError as error:
            return str(error).encode()

    wait_for("answer by the forwarded port", read, b"hello".__eq__, SECONDS)
    running.forward(port, address, 80)  # a second time: nothing to do


def test_assembled_images_are_known_as_local_builds(running: cluster.Cluster) -> None:
    again = running.ensure_images([BUSYBOX, "example.org/nobody/has:1"])
    assert (again.present, again.missing) == ([BUSYBOX], ["example.org/nobody/has:1"])
