"""Decoys: the series of a firing case, with one label of one series changed to a value that the rule must not take.

Every label that a case writes matters, unless the case says otherwise: with another value (`decoy`) nothing fires. Of
the labels of a target only `job` and `metrics_path` matter. A label that the alert carries, or the cluster, may differ
as long as it joins nothing: it is changed only where another series of the case has the same value, or the case says
that the rule needs it. What a case
writes decides, not the rule: so a matcher that gets lost in the rule lets a decoy through.
"""

from collections.abc import Iterator, Set

from tests.rules.series import Series

VALUE = "decoy"
_OF_TARGETS = {"job", "metrics_path"}
_NEVER = {"uid", "pod_uid"}
"""Ids that change with each new object of the same name."""


def decoys(
    series: dict[str, Series], carried: Set[str], free: Set[str], needs: Set[str]
) -> Iterator[tuple[str, str, Series]]:
    """Yields (`series.label`, name of the series, the changed series).

    `free` names what may differ, `needs` which carried labels may not.
    """
    for name, one in series.items():
        for label in sorted(set(one.labels) - _NEVER):
            if {name, f"{name}.{label}", f"*.{label}"} & free:
                continue
            joined = any(other.labels.get(label) == one.labels[label] for key, other in series.items() if key != name)
            matters = joined if label in carried or label == "cluster" else label in one.written or label in _OF_TARGETS
            if matters or f"{name}.{label}" in needs:
                labels = {**one.labels, label: VALUE}
                yield f"{name}.{label}", name, Series(one.metric, labels, one.values, one.written)
