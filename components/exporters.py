"""Exporters of applications that rules need: PostgreSQL, Mosquitto, and a query exporter for TeslaMate."""

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import pods
from components.exporter_pods import Instance, instances, pod_spec
from components.monitors import NODE_LABEL, monitoring_object
from settings import Settings

INSTANCE = "app.kubernetes.io/instance"


class Exporters(pulumi.ComponentResource):
    """A Deployment and a PodMonitor for each exporter that the stack file says to deploy."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        crds: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:Exporters", name, {}, opts)
        for instance in instances(settings):
            self._deploy(name, instance, settings)
            self._monitor(name, instance, settings, crds)
        self.register_outputs({})

    def _deploy(self, name: str, instance: Instance, settings: Settings) -> None:
        namespace, child = settings.namespaces.main, pulumi.ResourceOptions(parent=self)
        annotations = {}
        if instance.config:
            content = yaml.safe_dump(instance.config, sort_keys=False)
            annotations = {"checksum/config": pods.checksum(content)}
            k8s.core.v1.ConfigMap(
                f"{name}-{instance.object_name}-config",
                metadata=pods.metadata(instance.exporter, namespace, f"{instance.object_name}-config"),
                data={"sql_exporter.yml": content},
                opts=child,
            )
        own = {INSTANCE: instance.name}
        k8s.apps.v1.Deployment(
            f"{name}-{instance.object_name}",
            # Its database may be down while the stack is deployed: nothing waits for it.
            metadata=pods.metadata(instance.exporter, namespace, instance.object_name, **pods.NO_WAIT),
            spec={
                "replicas": 1,
                "selector": {"matchLabels": {**pods.selector(instance.exporter), **own}},
                "template": {
                    "metadata": {"labels": {**pods.labels(instance.exporter), **own}, "annotations": annotations},
                    "spec": pod_spec(instance, settings),
                },
            },
            opts=child,
        )

    def _monitor(self, name: str, instance: Instance, settings: Settings, crds: pulumi.Resource) -> None:
        # `instance` is what is measured, not the pod that measures it: alerts name it, and it survives a new pod.
        relabelings = [*NODE_LABEL, {"targetLabel": "instance", "replacement": instance.address}]
        monitoring_object(
            f"{name}-{instance.object_name}-monitor",
            "PodMonitor",
            pods.metadata(instance.exporter, settings.namespaces.main, instance.object_name),
            {
                "jobLabel": "app.kubernetes.io/name",
                "selector": {"matchLabels": {**pods.selector(instance.exporter), INSTANCE: instance.name}},
                "podMetricsEndpoints": [{"port": "metrics", "relabelings": relabelings}],
            },
            self,
            crds,
        )
