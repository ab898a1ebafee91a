"""The one way in which a dashboard is written, so that a change shows as the lines that changed.

An object or a list stands on one line where it fits. `python -m tests.dashboards.layout` rewrites the files.
"""

import json
from typing import Any

from tests.dashboards.model import dashboards

WIDTH = 100


def layout(value: Any, indent: int = 0) -> str:
    """JSON text of `value`: short parts on one line, the others with one entry a line. The outermost is never short."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (indent and indent + len(flat) <= WIDTH):
        return flat
    pad, brackets = " " * (indent + 2), "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, dict):
        rows = [f"{json.dumps(key, ensure_ascii=False)}: {layout(entry, indent + 2)}" for key, entry in value.items()]
    else:
        rows = [layout(entry, indent + 2) for entry in value]
    body = ",\n".join(pad + row for row in rows)
    return f"{brackets[0]}\n{body}\n{' ' * indent}{brackets[1]}"


def main() -> None:
    for dashboard in dashboards():
        dashboard.path.write_text(layout(dashboard.raw) + "\n")


if __name__ == "__main__":
    main()
