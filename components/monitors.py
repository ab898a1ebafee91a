"""ServiceMonitor and PodMonitor objects: what the operator turns into scrape configuration."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import pods

GROUP = "monitoring.coreos.com"
GROUP_VERSION = f"{GROUP}/v1"
YOUNGER = {"ScrapeConfig": f"{GROUP}/v1alpha1"}
"""Kinds that the operator does not yet serve as v1."""
# The `release` label of the chart: a Prometheus that selects by it (the chart's own default) finds our objects too.
RELEASE = {"release": "kube-prometheus-stack"}


def monitoring_object(
    name: str,
    kind: str,
    metadata: dict[str, Any],
    spec: dict[str, Any],
    parent: pulumi.Resource,
    crds: pulumi.Resource,
) -> k8s.apiextensions.CustomResource:
    """An object of the operator's kinds, made after its CRD. Fixed names need delete before replace."""
    return k8s.apiextensions.CustomResource(
        name,
        api_version=YOUNGER.get(kind, GROUP_VERSION),
        kind=kind,
        metadata={**metadata, "labels": {**metadata["labels"], **RELEASE}},
        spec=spec,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[crds], delete_before_replace=True),
    )


def service_monitor(
    name: str,
    app: str,
    namespace: str,
    port: str,
    parent: pulumi.Resource,
    crds: pulumi.Resource,
    path: str | None = None,
) -> None:
    """Scrape the Service of `app`; the `job` of its series is the app's name."""
    spec = {
        "jobLabel": "app.kubernetes.io/name",
        "selector": {"matchLabels": pods.selector(app)},
        "endpoints": [{"port": port, "path": path} if path else {"port": port}],
    }
    monitoring_object(name, "ServiceMonitor", pods.metadata(app, namespace), spec, parent, crds)


def pod_monitor(name: str, app: str, namespace: str, port: str, parent: pulumi.Resource, crds: pulumi.Resource) -> None:
    """Scrape every pod of a DaemonSet `app`, with its node as the label `node`."""
    spec = {
        "jobLabel": "app.kubernetes.io/name",
        "selector": {"matchLabels": pods.selector(app)},
        "podMetricsEndpoints": [{"port": port, "relabelings": NODE_LABEL}],
    }
    monitoring_object(name, "PodMonitor", pods.metadata(app, namespace), spec, parent, crds)


NODE_LABEL = [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}]
"""Relabelling that names the node, as a common label for joins."""
