"""The pinned programs that tests and the local cluster run.

`find` looks on PATH (when the program's own version output names the same major and minor version), then in the
cache folder, and else builds it from its Go module. `python -m tools.binaries NAME...` prints the paths.
"""

import argparse
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools import go_build
from tools.console import UserError, run, say
from tools.go_build import module_dir

__all__ = ["TOOLS", "Tool", "find", "missing", "module_dir"]

PROMETHEUS_STAMP = "github.com/prometheus/common/version.Version={number}"
PROMTAIL = "github.com/grafana/loki/v3/clients/cmd/promtail"
ACTIONLINT_STAMP = "github.com/rhysd/actionlint.version={number}"
LOKI_STAMP = "github.com/grafana/loki/v3/pkg/util/build.Version={number}"
KUBERNETES_STAMPS = (
    "k8s.io/component-base/version.gitVersion=v{number}",
    "k8s.io/component-base/version.gitMajor={major}",
    "k8s.io/component-base/version.gitMinor={minor}",
    "k8s.io/component-base/version.gitTreeState=clean",
)
JOURNAL = ("promtail_journal_enabled", "systemd/sd-journal.h")
"""Tag and header of a log agent that reads the systemd journal."""
PROMETHEUS_TAGS = "remove_all_sd,enable_kubernetes_sd,enable_dns_sd"
"""Service discovery for clouds is left out: its libraries are most of the build, and no cluster of ours uses it."""
VERSION_SECONDS = 20


@dataclass(frozen=True)
class Tool:
    """A program: the folder under tools/go that pins it, its Go package, its version option, build stamps and tags.

    One that needs a C header is linked to its library and hence not static; all others are.
    """

    module: str
    package: str
    version_arguments: tuple[str, ...] = ("--version",)
    stamps: tuple[str, ...] = ()
    tags: str = ""
    header: str = ""

    @property
    def version(self) -> str:
        """The module version that go.mod pins, such as `v0.315.0`."""
        return go_build.required_version(self.module)

    @property
    def release(self) -> str:
        """The release number as the program prints it. Prometheus publishes 3.15.0 as module v0.315.0."""
        number = self.version.removeprefix("v")
        if self.module == "prometheus":
            _, minor, patch = number.split(".")
            return f"{minor[0]}.{int(minor[1:])}.{patch}"
        return number


def _kubernetes(name: str, *version_arguments: str) -> Tool:
    return Tool("kubernetes", f"k8s.io/kubernetes/cmd/{name}", version_arguments or ("--version",), KUBERNETES_STAMPS)


def _prometheus(module: str, package: str, tags: str = "") -> Tool:
    return Tool(module, package, stamps=(PROMETHEUS_STAMP,), tags=tags)


TOOLS: dict[str, Tool] = {
    "promtool": _prometheus("prometheus", "github.com/prometheus/prometheus/cmd/promtool", PROMETHEUS_TAGS),
    "prometheus": _prometheus("prometheus", "github.com/prometheus/prometheus/cmd/prometheus", PROMETHEUS_TAGS),
    "alloy": Tool("alloy", ".", stamps=("main.version=v{number}",)),
    "amtool": _prometheus("alertmanager", "github.com/prometheus/alertmanager/cmd/amtool"),
    "alertmanager": _prometheus("alertmanager", "github.com/prometheus/alertmanager/cmd/alertmanager"),
    "loki": Tool("loki", "github.com/grafana/loki/v3/cmd/loki", stamps=(LOKI_STAMP,)),
    "lokitool": Tool("loki", "github.com/grafana/loki/v3/cmd/lokitool", ("version",), (LOKI_STAMP,)),
    "logcli": Tool("loki", "github.com/grafana/loki/v3/cmd/logcli", stamps=(LOKI_STAMP,)),
    "minio": Tool("minio", "github.com/minio/minio"),
    "dashboard-check": Tool("dashboard-check", "."),
    "promtail": Tool("promtail", PROMTAIL, stamps=(LOKI_STAMP,)),
    # Static ones read no journal, for which libsystemd is needed.
    "promtail-journal": Tool("promtail", PROMTAIL, ("--version",), (LOKI_STAMP,), *JOURNAL),
    "alloy-journal": Tool("alloy", ".", ("--version",), ("main.version=v{number}",), *JOURNAL),
    "kube-apiserver": _kubernetes("kube-apiserver"),
    "kube-controller-manager": _kubernetes("kube-controller-manager"),
    "kube-scheduler": _kubernetes("kube-scheduler"),
    "kubectl": _kubernetes("kubectl", "version", "--client"),
    "kubelet": _kubernetes("kubelet"),
    "kube-proxy": _kubernetes("kube-proxy"),
    "etcd": Tool("etcd", "go.etcd.io/etcd/server/v3"),
    "kwok": Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok", stamps=("sigs.k8s.io/kwok/pkg/consts.Version=v{number}",)),
    "helm": Tool(
        "helm", "helm.sh/helm/v4/cmd/helm", ("version",), ("helm.sh/helm/v4/internal/version.version=v{number}",)
    ),
    "prometheus-operator": _prometheus(
        "prometheus-operator", "github.com/prometheus-operator/prometheus-operator/cmd/operator"
    ),
    "prometheus-config-reloader": _prometheus(
        "prometheus-operator", "github.com/prometheus-operator/prometheus-operator/cmd/prometheus-config-reloader"
    ),
    "blackbox_exporter": _prometheus("blackbox_exporter", "github.com/prometheus/blackbox_exporter"),
    "kube-state-metrics": Tool(
        "kube-state-metrics", "k8s.io/kube-state-metrics/v2", ("version",), (PROMETHEUS_STAMP.replace("{", "v{"),)
    ),
    "node_exporter": _prometheus("node_exporter", "github.com/prometheus/node_exporter"),
    "postgres_exporter": _prometheus(
        "postgres_exporter", "github.com/prometheus-community/postgres_exporter/cmd/postgres_exporter"
    ),
    "pint": Tool("pint", "github.com/cloudflare/pint/cmd/pint", ("version",), ("main.version=v{number}",)),
    "kubeconform": Tool(
        "kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform", ("-v",), ("main.version=v{number}",)
    ),
    "kube-score": Tool(
        "kube-score", "github.com/zegl/kube-score/cmd/kube-score", ("version",), ("main.version={number}",)
    ),
    "actionlint": Tool("actionlint", "github.com/rhysd/actionlint/cmd/actionlint", ("-version",), (ACTIONLINT_STAMP,)),
    "rclone": Tool("rclone", ".", ("version",)),
    "trivy-kubernetes": Tool("trivy", "."),
    "coredns": Tool("coredns", "github.com/coredns/coredns", ("-version",)),
}


def find(name: str, *, static: bool = False) -> Path:
    """The path of the program `name`, built when neither PATH nor the cache has it.

    `static` skips PATH, for a program that goes into an image: only our own builds are known to be static.
    Raises `UserError` for an unknown name, for a failed build and where the machine lacks what a build needs.
    """
    if name not in TOOLS:
        raise UserError(f"no tool is called {name}. Known: {', '.join(sorted(TOOLS))}")
    tool = TOOLS[name]
    on_path = None if static else shutil.which(name)
    if on_path and _accepts(tool, on_path):
        return Path(on_path)
    cached = go_build.cache_dir() / f"{name}-{tool.version}" / name
    if not cached.exists():
        if why := missing(name):
            raise UserError(f"{name} cannot be built here: {why}")
        major, minor, _ = tool.release.split(".", 2)
        stamps = [stamp.format(number=tool.release, major=major, minor=minor) for stamp in tool.stamps]
        cgo = bool(tool.header)
        go_build.build(name, tool.module, tool.package, cached, stamps=stamps, tags=tool.tags, cgo=cgo)
    return cached


def missing(name: str) -> str | None:
    """What this machine lacks to build the tool; None where Go is enough, or where it has the rest."""
    header = TOOLS[name].header
    if not header:
        return None
    compiler = shutil.which("gcc")
    check = [str(compiler), "-fsyntax-only", "-x", "c", "-include", header, os.devnull]
    if compiler and subprocess.run(check, capture_output=True, check=False).returncode == 0:
        return None
    return f"it needs gcc and {header} (apt-get install gcc libc6-dev libsystemd-dev)"


def _accepts(tool: Tool, program: str) -> bool:
    """Whether the program prints a version of the same major and minor number as the pinned one."""
    try:
        result = subprocess.run(
            [program, *tool.version_arguments], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    major, minor, _ = tool.release.split(".", 2)
    return re.search(rf"(?<![\d.]){major}\.{minor}\.\d", result.stdout + result.stderr) is not None


def main() -> None:
    """Print the path of each named tool, one a line."""
    parser = argparse.ArgumentParser(prog="python -m tools.binaries", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="tools to find or build; none: all of them")
    chosen = parser.parse_args().names
    for name in chosen or TOOLS:
        if not chosen and (why := missing(name)):
            say(f"left out: {name}: {why}")
        else:
            print(find(name), flush=True)


if __name__ == "__main__":
    run(main)
