"""Rule files as ConfigMaps, and as PrometheusRule objects for the evaluator that reads only those."""

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import pods
from components.monitors import monitoring_object
from components.rule_files import RuleFile, Selection
from settings import Settings

APP = "alert-rules"
EVALUATOR = "observability/evaluator"
"""Label of rules that are for one Prometheus alone: it takes only these, the cluster's own takes all others."""
HUB = "hub"
"""That Prometheus, its rule file and the component of its alerts."""
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The one in C writes the same text in a fifth of the time; rules are most of the YAML of a run."""


def config_map_name(evaluator: str, file: RuleFile) -> str:
    """Name of the ConfigMap of a rule file; `evaluator` is prometheus or loki."""
    return f"rules-{evaluator}-{file.name}"


def content(file: RuleFile) -> str:
    """The rule file as YAML text."""
    return yaml.dump({"groups": file.groups}, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=10_000)


class AlertRules(pulumi.ComponentResource):
    """One ConfigMap a file; for Prometheus a PrometheusRule of the same content beside it.

    Prometheus reads the PrometheusRule alone, so its ConfigMaps, which are for people, are made after `copies_after`:
    the engine writes its whole state around each object, and large ones that nothing waits for come last.
    """

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        prometheus: Selection,
        loki: Selection,
        crds: pulumi.Resource,
        copies_after: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("observability:index:AlertRules", name, {}, opts)
        namespace = settings.namespaces.main
        child = pulumi.ResourceOptions(parent=self)
        copy = pulumi.ResourceOptions(parent=self, depends_on=[copies_after])
        for evaluator, selection in (("prometheus", prometheus), ("loki", loki)):
            for file in selection.files:
                meta = pods.metadata(APP, namespace, config_map_name(evaluator, file))
                labelled = {**meta, "labels": {**meta["labels"], "observability/rules": evaluator}}
                k8s.core.v1.ConfigMap(
                    f"{name}-{evaluator}-{file.name}",
                    metadata=labelled,
                    data={f"{file.name}.yaml": content(file)},
                    opts=child if evaluator == "loki" else copy,
                )
                if evaluator == "prometheus":
                    meta = pods.metadata(APP, namespace, file.name)
                    if file.name == HUB:
                        meta["labels"] = {**meta["labels"], EVALUATOR: HUB}
                    monitoring_object(
                        f"{name}-rule-{file.name}",
                        "PrometheusRule",
                        meta,
                        {"groups": file.groups},
                        self,
                        crds,
                    )
        self.register_outputs({"prometheus": len(prometheus.alerts()), "loki": len(loki.alerts())})
