"""What the log agent does with the lines of pods: pipeline stages in Promtail's words. Alloy's are made from them."""

import json
import re
from typing import Any

from components import addresses
from settings.log_agent import LogAgentSettings, Streams

LABELS = ["namespace", "pod", "container", "app", "node", "job"]
"""Labels of a stream beside `cluster`. Nothing else gets through, so no program can make streams without end."""
PARTIAL_BYTES = 262144
SECRETS = [
    # key=value, key: value and "key": "value"; the value is masked.
    r"(?i)(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[\"']?\s*[=:]\s*[\"']?([^\s\"',;&]+)",
    r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9+/=._~-]{8,})",
    # https://user:password@host
    r"://[^/\s:@]*:([^/\s@]+)@",
    r"\b((?:AKIA|ASIA)[0-9A-Z]{16})\b",
    # A JSON web token.
    r"\b(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)",
]
"""What looks like a secret; the groups are what is masked."""
MASKED = "****"
TELEGRAM_TOKEN = "/bot([^/]+)/"  # noqa: S105 (an expression)
"""In the address that Alertmanager logs when Telegram cannot be reached: its only secret that reaches a log."""


def pod_stages(settings: LogAgentSettings) -> list[dict[str, Any]]:
    """Stages of the pods' pipeline, in their order.

    Lines are put together before they are judged, and judged before the costly masking.
    """
    return [
        {
            "cri": {
                "max_partial_lines": 100,
                "max_partial_line_size": PARTIAL_BYTES,
                "max_partial_line_size_truncate": True,
            }
        },
        *(
            {
                "match": {
                    "selector": selector(block),
                    "stages": [
                        {
                            "multiline": {
                                "firstline": block.first_line,
                                "max_wait_time": block.max_wait,
                                "max_lines": block.max_lines,
                            }
                        }
                    ],
                }
            }
            for block in settings.multiline
        ),
        *(
            drop(selector(streams) + (f" |~ {json.dumps(streams.matching)}" if streams.matching else ""))
            for streams in settings.drop
        ),
        *(drop(f"{selector(keep)} !~ {json.dumps(keep.matching)}") for keep in settings.keep),
        *masking(settings),
        {"match": {"selector": f'{{app="{addresses.ALERTMANAGER}"}}', "stages": [_mask(TELEGRAM_TOKEN)]}},
        {"labelallow": LABELS},
    ]


def masking(settings: LogAgentSettings) -> list[dict[str, Any]]:
    """Stages that mask secrets, for pods and journal alike."""
    patterns = [*(SECRETS if settings.mask_secrets else []), *map(_grouped, settings.mask)]
    return [_mask(pattern) for pattern in patterns]


def selector(streams: Streams) -> str:
    """The LogQL selector of the streams."""
    names = {"namespace": streams.namespace, "app": streams.app, "container": streams.container}
    return "{" + ",".join(f'{label}="{value}"' for label, value in names.items() if value) + "}"


def drop(streams: str) -> dict[str, Any]:
    """A stage that drops what the LogQL query selects."""
    return {"match": {"selector": streams, "action": "drop", "drop_counter_reason": "stack_file"}}


def _mask(pattern: str) -> dict[str, Any]:
    return {"replace": {"expression": pattern, "replace": MASKED}}


def _grouped(pattern: str) -> str:
    # The stage replaces groups, so an expression without one is a group as a whole.
    return pattern if re.compile(pattern).groups else f"({pattern})"
