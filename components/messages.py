"""Templates of the messages: the files of components/templates, and what this stack and each kind fill in.

Values of labels and annotations come from outside. Each is stripped of control characters, cut at a space, and escaped
for the kind, in this order, so that a cut never splits an escape. The list of alerts ends after the last whole alert
that fits; how many are left out is said. Addresses take only label values of harmless characters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.links import CONDITIONS, addresses
from components.receiver_kinds import LINKS
from settings import Settings

FOLDER = Path(__file__).parent / "templates"
TITLE_RUNES = 160
ALERT_RUNES = 400
CONTROL = r"[\x00-\x20\x7f-\x9f\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{2069}\x{feff}]+"
"""Control characters, and the invisible ones that turn the direction of a text; spaces as well."""


@dataclass(frozen=True)
class Kind:
    """How one kind of message writes text.

    `list_bytes` is what the alerts may take of the service's limit; the rest is for title and addresses. `escape` are
    regular expressions and what replaces them. `item` gets the text and the time of an alert. `link` gets URL and TEXT.
    """

    limit: str
    list_bytes: int
    escape: tuple[tuple[str, str], ...]
    item: str
    link: str
    between: str
    html: bool = False


HTML = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"))
MARKDOWN = ((r"([\\\x60*_~|<>\[\]()#!&])", r"\${1}"), ("@", "@\u200b"))
SLACK = (*HTML[:3], (r"\x60", "'"), (r"\*", "\u2217"), ("~", "\u223c"), (r"(^|\W)_", "${1}\uff3f"))
JIRA = ((r"([\\{}\[\]|!*_+^~?#-])", r"\${1}"),)

KINDS: dict[str, Kind] = {
    "telegram": Kind(
        "4096 characters a message",
        1400,
        HTML[:3],
        r"%s\n<i>%s</i>\n\n",
        '<a href="URL">TEXT</a>',
        " | ",
        html=True,
    ),
    "slack": Kind("4000 characters recommended for a text", 2000, SLACK, r"%s\n_%s_\n\n", "<URL|TEXT>", " | "),
    "discord": Kind(
        "256 characters a title, 4096 a description", 1700, MARKDOWN, r"%s\n*%s*\n\n", "[TEXT](URL)", " | "
    ),
    "msteams": Kind("28 kB a message", 8000, MARKDOWN, r"%s\n\n*%s*\n\n", "[TEXT](URL)", " | "),
    "jira": Kind("255 characters a summary, 32767 a description", 20000, JIRA, r"%s\n%s\n\n", "[TEXT|URL]", " - "),
    "github": Kind("256 characters a title, 64 kB an event", 20000, MARKDOWN, r"%s\n\n*%s*\n\n", "[TEXT](URL)", " | "),
    "email": Kind(
        "102 kB before a mailbox cuts",
        40000,
        HTML,
        r"<p>%s<br><em>%s</em></p>\n",
        '<a href="URL">TEXT</a>',
        " | ",
        html=True,
    ),
    "text": Kind("15000 characters a description of Opsgenie", 8000, (), r"%s\n%s\n\n", "TEXT: URL", r"\n"),
}


def templates(settings: Settings) -> dict[str, str]:
    """Files of the ConfigMap: name and text. Raises OSError where a file of the folder cannot be read."""
    files = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.tmpl"))}
    shape = (FOLDER / "kind.tmpl.in").read_text(encoding="utf-8")
    there = addresses(settings)
    files["stack.tmpl"] = "".join(
        f'{{{{ define "url.{name}" }}}}{{{{ if {CONDITIONS[name]} }}}}{there.get(name, "")}{{{{ end }}}}{{{{ end }}}}\n'
        for name in LINKS
    )
    for name, kind in KINDS.items():
        files[f"kind-{name}.tmpl"] = _kind(shape, name, kind, there)
    return files


def _kind(shape: str, name: str, kind: Kind, there: Mapping[str, str]) -> str:
    escape = "$text"
    for pattern, replacement in kind.escape:
        escape = f"(reReplaceAll `{pattern}` `{replacement}` {escape})"
    # An address that depends on a label stands under its condition.
    links = [(LINKS[link], link) for link in LINKS if link in there]
    parts = [
        f"{{{{ if {CONDITIONS[link]} }}}}{{{{ if $some }}}}{_plain(kind.between)}{{{{ end }}}}{{{{ $some = true }}}}"
        + kind.link.replace("URL", f'{{{{ template "url.{link}" . }}}}').replace("TEXT", text)
        + "{{ end }}"
        for text, link in links
    ]
    words = {
        "KIND": name,
        "CONTROL": CONTROL,
        "TITLE": str(TITLE_RUNES),
        "ALERT": str(ALERT_RUNES),
        "BYTES": str(kind.list_bytes),
        "ESCAPE": escape,
        "ITEM": kind.item,
        "OUT": "| safeHtml " if kind.html else "",
        "LINKS": "".join(parts),
    }
    for word, value in words.items():
        shape = shape.replace(f"@{word}@", value)
    return shape


def _plain(text: str) -> str:
    return text.replace(r"\n", "\n")
