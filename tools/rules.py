"""`make rules`: which alerts a stack ships, which it leaves out, and why."""

import argparse

from rich.console import Console
from rich.table import Table

from components.rule_files import part
from components.running import running
from components.stack import select_dashboards, select_rules
from settings import Settings
from tools.console import run
from tools.synth import ROOT, settings_of, stack_config


def stack_settings(stack: str) -> Settings:
    """Settings of a stack file, whether its secrets are set or not. Raises SettingsError for its mistakes."""
    file = ROOT / f"Pulumi.{stack}.yaml"
    return settings_of(file, stack_config(file))


def main() -> None:
    """Print both lists."""
    parser = argparse.ArgumentParser(prog="python -m tools.rules", description=__doc__)
    parser.add_argument("--stack", required=True, help="the name in Pulumi.<stack>.yaml")
    stack = parser.parse_args().stack
    settings = stack_settings(stack)
    selections = dict(zip(("prometheus", "loki"), select_rules(settings), strict=True))
    console = Console(width=None if Console().is_terminal else 160)
    shipped = Table("alert", "severity", "team", "component", "for", "needs", "file", title=f"Shipped by stack {stack}")
    left_out = Table("alert", "left out because", title=f"Left out by stack {stack}")
    left_boards = Table("dashboard", "left out because", title=f"Dashboards left out by stack {stack}")
    for name, why in select_dashboards(settings).left_out.items():
        left_boards.add_row(name, why)
    for evaluator, selection in selections.items():
        for file in selection.files:
            for group, rule in ((one, rule) for one in file.groups for rule in one["rules"] if "alert" in rule):
                labels = rule["labels"]
                place = f"rules/{evaluator}/{file.name}.yaml"
                shipped.add_row(
                    rule["alert"],
                    labels["severity"],
                    labels["team"],
                    labels["component"],
                    rule.get("for", "at once"),
                    part(group) if part(group) in running(settings) else "",
                    place,
                )
        for left in selection.left_out:
            left_out.add_row(left.alert, left.why)
    console.print(shipped)
    console.print(left_out)
    console.print(left_boards)
    console.print(f"{shipped.row_count} alerts shipped, {left_out.row_count} left out.")


if __name__ == "__main__":
    run(main)
