"""The log agent on every node: which program it is, and what it does with lines before they leave the node."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from settings.base import Duration, Model, Name, Regex, Resources


def _pattern(value: str) -> str:
    if "${" in value:
        raise ValueError("holds ${, which the log agent takes for a variable; write $[{]")
    return value


Pattern = Annotated[Regex, AfterValidator(_pattern)]
"""A regular expression that the log agent's configuration can hold."""


App = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
"""A value of the label `app`."""


class Streams(Model):
    """Which streams: all that have each of the labels that are set."""

    namespace: Name | None = None
    app: App | None = None
    container: Name | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.namespace or self.app or self.container):
            raise ValueError("names no streams; set namespace, app or container")
        return self


class Multiline(Streams):
    """Lines that belong together, such as a stack trace, become one."""

    first_line: Pattern
    """What the first line of a block matches, for example `^\\d{4}-`."""
    max_wait: Duration = "3s"
    max_lines: Annotated[int, Field(ge=2, le=1000)] = 128


class Drop(Streams):
    """Lines that never leave the node; without `matching` the whole streams."""

    matching: Pattern | None = None


class Keep(Streams):
    """Of these streams only the lines that match leave the node."""

    matching: Pattern


class Journal(Model):
    """The systemd journal of each node, kernel messages among it. Its `app` is the service, such as `kubelet`."""

    enabled: bool = True
    """Off where nodes have no systemd (Talos); alerts that need the kernel's lines are left out then."""
    drop: list[App] = []
    """Lines of these never leave the node."""
    keep: list[App] = []
    """Only lines of these leave the node; all where it is empty."""


class LogAgentSettings(Model):
    """`observability:logAgent`."""

    program: Literal["promtail", "alloy"] = "promtail"
    """Both give the same labels and the same guarantees."""
    journal: Journal = Journal()
    multiline: list[Multiline] = []
    drop: list[Drop] = []
    keep: list[Keep] = []
    mask_secrets: bool = False
    """Replace what looks like a password, token or key by `****`. It costs processor time on every line."""
    mask: list[Pattern] = []
    """Further expressions to mask: their groups, or the whole match where they have none."""
    resources: Resources = Resources(cpu="100m", memory="128Mi", memory_limit="256Mi")
