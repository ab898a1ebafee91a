"""How `destroy` deletes: what others hang on after these, everything else at once."""

import pulumi

AT_ONCE = {"pulumi.com/deletionPropagationPolicy": "background"}
"""Annotation of objects that nothing hangs on. Without it the provider deletes each of them in the foreground: then a
ConfigMap, too, waits for the cluster's garbage collector, which by default makes 20 requests a second in all."""
OWNERS = frozenset({"Alertmanager", "DaemonSet", "Deployment", "Job", "Prometheus", "StatefulSet"})
"""Kinds that pods hang on. They are gone when their pods are: a `destroy` that has ended has stopped everything."""


def at_once(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    """The transformation that gives every object its annotation, but for those of OWNERS and patches of others'."""
    kind, metadata = args.type_.rpartition(":")[2], args.props.get("metadata")
    if not isinstance(metadata, dict) or kind in OWNERS or kind.endswith("Patch"):
        return None
    annotated = {**metadata, "annotations": {**metadata.get("annotations", {}), **AT_ONCE}}
    return pulumi.ResourceTransformationResult({**args.props, "metadata": annotated}, args.opts)
