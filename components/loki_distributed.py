"""Loki as parts of their own, by the official chart; its configuration is ours, word for word."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import addresses, images, loki_config, loki_storage, pods
from components.kube_prometheus_stack import source
from components.loki import rules_mount, rules_volume
from components.monitors import pod_monitor
from components.versions import IMAGES
from settings import Settings
from settings.base import Resources

APP = addresses.LOKI
CHART = "loki"
OFF = (
    # Parts of the chart that are ours already, or that no stack needs.
    "gateway",
    "lokiCanary",
    "test",
    "chunksCache",
    "resultsCache",
    "memcached",
    "rollout_operator",
    "minio",
)


def values(
    settings: Settings, rule_config_maps: Sequence[str], rolled_by: Mapping[str, pulumi.Input[str]]
) -> dict[str, Any]:
    """All values, known at a preview, in the chart's own names. Credentials come from our Secret by environment.

    `rolled_by` are annotations of every pod: a part of Loki reads its environment when it starts, and never again.
    """
    loki = settings.loki
    parts = loki.parts
    return {
        "deploymentMode": "Distributed",
        "fullnameOverride": APP,
        "nameOverride": APP,
        "loki": {
            # The chart would build a configuration of its own; the one of loki_config is what the tests prove.
            "config": yaml.safe_dump(loki_config.config(settings), sort_keys=False),
            "schemaConfig": loki_config.config(settings)["schema_config"],
            "storage": {"type": "s3", "bucketNames": {"chunks": "in-config", "ruler": "in-config"}},
            "image": _image(settings),
            "podAnnotations": rolled_by,
        },
        "serviceAccount": {"name": APP, "annotations": loki.service_account_annotations},
        "global": {"priorityClassName": pods.PRIORITY_CLASS, "extraEnv": loki_storage.env(settings)},
        # Only a cloud identity needs a token of the cluster.
        "defaults": {"automountServiceAccountToken": bool(loki.service_account_annotations)},
        "rbac": {"namespaced": True},
        "sidecar": {"rules": {"enabled": False}},
        "distributor": _part("distributor", parts.distributors, parts.resources),
        "ingester": {
            **_part("ingester", parts.ingesters, loki.resources),
            "persistence": {"enabled": True, "claims": [_claim(settings)]},
            # Zones that are rolled one after the other need an operator of their own; spread over them needs none.
            "zoneAwareReplication": {"enabled": False},
        },
        "querier": _part("querier", parts.queriers, parts.resources),
        "queryFrontend": _part("query-frontend", parts.query_frontends, parts.resources),
        "queryScheduler": _part("query-scheduler", parts.query_schedulers, parts.resources),
        "indexGateway": _part("index-gateway", parts.index_gateways, parts.resources),
        "compactor": {
            # Two compactors would delete under each other's hands.
            **_part("compactor", 1, parts.resources),
            # What it has marked for deletion must outlive its pod, or is never deleted.
            "persistence": {"enabled": True, "claims": [_claim(settings)]},
        },
        "ruler": {
            **_part("ruler", parts.rulers, parts.resources),
            "extraVolumes": [rules_volume(rule_config_maps)],
            "extraVolumeMounts": [rules_mount(settings)],
        },
        **{name: {"replicas": 0} for name in ("singleBinary", "read", "write", "backend")},
        **{name: {"enabled": False} for name in OFF},
    }


def _part(name: str, replicas: int, resources: Resources) -> dict[str, Any]:
    spread = [
        {**one, "labelSelector": {"matchLabels": {**pods.selector(APP), "app.kubernetes.io/component": name}}}
        for one in pods.spread(APP)
    ]
    # Spread instead of the chart's anti-affinity, which leaves pods pending as soon as there are fewer nodes.
    return {
        "replicas": replicas,
        "resources": resources.manifest(),
        "affinity": None,
        "topologySpreadConstraints": spread,
        "maxUnavailable": 1,
    }


def _claim(settings: Settings) -> dict[str, Any]:
    loki = settings.loki
    claim = {"name": "data", "accessModes": ["ReadWriteOnce"], "size": loki.volume_size}
    return claim | ({"storageClass": loki.storage_class} if loki.storage_class else {})


def _image(settings: Settings) -> dict[str, Any]:
    registry, _, repository = IMAGES["loki"].repository.partition("/")
    found = {"registry": registry, "repository": repository, "tag": IMAGES["loki"].tag}
    return found | ({"digest": pinned} if (pinned := images.digest("loki", settings)) else {})


class LokiDistributed(pulumi.ComponentResource):
    """The chart, the Secret of its storage and its monitor; the gateway before it is the same as ever."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        rule_config_maps: Sequence[str],
        secrets: Mapping[str, pulumi.Output[str]],
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:LokiDistributed", name, {}, opts)
        namespace = settings.namespaces.main
        rolled_by = loki_storage.secret(name, settings, secrets, self)
        k8s.helm.v4.Chart(
            f"{name}-chart",
            name=CHART,
            namespace=namespace,
            values=values(settings, rule_config_maps, rolled_by),
            opts=pulumi.ResourceOptions(parent=self),
            **source("loki", settings.loki.chart),
        )
        # By pod: Services of some parts exist twice, and each pod would be scraped as often.
        pod_monitor(f"{name}-monitor", APP, namespace, "http-metrics", self, crds)
        self.register_outputs({})
