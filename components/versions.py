"""The one table of versions: what ships, what the tests run, and why they differ.

`ships` goes into the cluster. `tested` is the version of the Go module that `tools/` builds and that every test
runs; where it differs, `why` says so. Renovate reads the comment above each line.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Image:
    """A container image: repository without tag, tag, and the module version that the tests run."""

    repository: str
    tag: str
    tested: str
    why: str = ""

    @property
    def reference(self) -> str:
        """The reference as a pod spec writes it, `repository:tag`."""
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True)
class ChartVersion:
    """A Helm chart: where it is published (OCI), its version and the version of what it installs."""

    oci: str
    version: str
    app_version: str


SAME = ""
SEEN_ONCE = "no package registry has it; its metrics and options were seen once, tests/rules/metrics has the list"
NOT_BUILT = "no program of it can be built from a package registry; tests use a stand-in"

IMAGES: dict[str, Image] = {
    # renovate: datasource=docker depName=grafana/alloy
    "alloy": Image(
        "docker.io/grafana/alloy",
        "v1.17.0",
        "v1.4.2",
        "the newest one whose language is a module too; its runtime with the components that we use",
    ),
    # renovate: datasource=docker depName=grafana/loki
    "loki": Image("docker.io/grafana/loki", "3.7.8", "v3.7.8"),
    # renovate: datasource=docker depName=minio/minio
    "minio": Image(
        "docker.io/minio/minio",
        "RELEASE.2025-09-07T16-13-09Z",
        "v0.0.0-20250907161309-07c3a429bfed",
        "the same release: its module has no version numbers",
    ),
    # renovate: datasource=docker depName=nginxinc/nginx-unprivileged
    "nginx": Image(
        "docker.io/nginxinc/nginx-unprivileged", "1.30.1-alpine", "1.22.1", "Debian's package is what tests can install"
    ),
    # renovate: datasource=docker depName=grafana/promtail
    "promtail": Image("docker.io/grafana/promtail", "3.5.1", "v3.5.1"),
    # renovate: datasource=docker depName=quay.io/prometheus/alertmanager
    "alertmanager": Image("quay.io/prometheus/alertmanager", "v0.34.2", "v0.34.2"),
    # renovate: datasource=docker depName=quay.io/prometheus/prometheus
    "prometheus": Image(
        "quay.io/prometheus/prometheus",
        "v3.14.0",
        "v0.315.0",
        "tools pin the module of release 3.15.0",
    ),
    # renovate: datasource=docker depName=quay.io/prometheus/blackbox-exporter
    "blackbox-exporter": Image("quay.io/prometheus/blackbox-exporter", "v0.28.0", "v0.28.0"),
    # renovate: datasource=docker depName=quay.io/prometheuscommunity/postgres-exporter
    "postgres-exporter": Image("quay.io/prometheuscommunity/postgres-exporter", "v0.19.1", "v0.19.1"),
    # renovate: datasource=docker depName=sapcc/mosquitto-exporter
    "mosquitto-exporter": Image("docker.io/sapcc/mosquitto-exporter", "0.8.0", "none", SEEN_ONCE),
    # renovate: datasource=docker depName=burningalchemist/sql_exporter
    "sql-exporter": Image("docker.io/burningalchemist/sql_exporter", "0.24.6", "none", SEEN_ONCE),
    # renovate: datasource=docker depName=cloudflare/cloudflared
    "cloudflared": Image("docker.io/cloudflare/cloudflared", "2026.8.2", "none", SEEN_ONCE),
    # renovate: datasource=docker depName=nvcr.io/nvidia/k8s/dcgm-exporter
    "dcgm-exporter": Image("nvcr.io/nvidia/k8s/dcgm-exporter", "4.6.0-4.8.3-distroless", "none", NOT_BUILT),
    # renovate: datasource=docker depName=quay.io/prometheus-operator/prometheus-operator
    "prometheus-operator": Image("quay.io/prometheus-operator/prometheus-operator", "v0.93.1", "v0.93.1"),
    # renovate: datasource=docker depName=quay.io/prometheus-operator/prometheus-config-reloader
    "prometheus-config-reloader": Image("quay.io/prometheus-operator/prometheus-config-reloader", "v0.93.1", "v0.93.1"),
    # renovate: datasource=docker depName=registry.k8s.io/kube-state-metrics/kube-state-metrics
    "kube-state-metrics": Image("registry.k8s.io/kube-state-metrics/kube-state-metrics", "v2.20.0", "v2.20.0"),
    # renovate: datasource=docker depName=quay.io/prometheus/node-exporter
    "node-exporter": Image("quay.io/prometheus/node-exporter", "v1.12.1", "v1.12.1"),
    # renovate: datasource=docker depName=grafana/grafana
    "grafana": Image("docker.io/grafana/grafana", "13.2.0", "none", NOT_BUILT),
    # renovate: datasource=docker depName=quay.io/kiwigrid/k8s-sidecar
    "k8s-sidecar": Image("quay.io/kiwigrid/k8s-sidecar", "2.10.1", "none", NOT_BUILT),
}

CHARTS: dict[str, ChartVersion] = {
    # renovate: datasource=docker depName=ghcr.io/grafana-community/helm-charts/loki
    "loki": ChartVersion("oci://ghcr.io/grafana-community/helm-charts/loki", "18.11.0", "3.7.6"),
    # renovate: datasource=docker depName=ghcr.io/prometheus-community/charts/kube-prometheus-stack
    "kube-prometheus-stack": ChartVersion(
        "oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack", "88.5.3", "v0.93.1"
    ),
    # renovate: datasource=docker depName=ghcr.io/prometheus-community/charts/prometheus-operator-crds
    "prometheus-operator-crds": ChartVersion(
        "oci://ghcr.io/prometheus-community/charts/prometheus-operator-crds", "31.0.1", "v0.93.1"
    ),
}
