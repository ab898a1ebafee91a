"""Says at the end which cases were not run again."""

from typing import Any

REPEATED = "cases of alerts that differ from the untuned ones in the cluster's name alone"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = terminalreporter.stats.get("passed", [])
    left_out = sum(value for report in reports for name, value in report.user_properties if name == REPEATED)
    if left_out:
        terminalreporter.write_line(f"Not run again for each stack: {left_out} {REPEATED}.")
