"""Who is told of a failing probe: the team of its target, where the stack file names one."""

from typing import Any

from components.rule_files import RuleFile, Selection, component
from settings import Settings

COMPONENT = "blackbox"


def by_target(selection: Selection, settings: Settings) -> Selection:
    """The rules, with the label `team` of alerts on probes taken from the series where it has one.

    A label of a rule wins over that of its series, so it has to be a template. Stacks whose targets name no team keep
    the plain label. Series and rule of one alert never change their team, so the alert's identity stays.
    """
    if not any(target.team for probe in settings.blackbox.probes.values() for target in probe.targets):
        return selection
    files = [RuleFile(file.name, [_group(group) for group in file.groups]) for file in selection.files]
    return Selection(files, selection.left_out)


def _group(group: dict[str, Any]) -> dict[str, Any]:
    if component(group) != COMPONENT:
        return group
    return {**group, "rules": [_rule(rule) if "alert" in rule else rule for rule in group["rules"]]}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    labels = rule["labels"]
    return {**rule, "labels": {**labels, "team": f'{{{{ or $labels.team "{labels["team"]}" }}}}'}}
