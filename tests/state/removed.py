"""Resources of an earlier release that are gone on purpose, by their identity, and why."""

REMOVED: dict[str, str] = {}
