"""Messages stay harmless and within the limits, whatever labels hold."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from .templates import KINDS, Renderer, group, pod

HOSTILE = [
    "<script>alert(1)</script>",
    '"><a href="https://evil.example">click</a>',
    "*bold* _it_ ~no~ `code` ||spoiler|| > quote # head",
    "[text](https://evil.example) ![x](y) <https://evil.example|Runbook> <!channel> @everyone @here",
    '{code}{color:red}h1. x{color} [a|https://evil.example] {{ .Labels }} {{ template "title" . }}',
    "line\r\nbreak\x00\x07\x1b[31m\u202eright to left\u200b\u2066",
    "&amp; &lt; %3Cb%3E \\*not\\* \\",
    "x" * 5000,
    "&" * 900 + "<" * 900,
    "\U0001f525" * 900,
]


def hostile(text: str, count: int = 30) -> dict[str, Any]:
    labels = dict.fromkeys(("namespace", "pod", "node", "service", "container"), text)
    texts = {
        "summary": f"Pod {text} crashes",
        "description": f"Pod {text} crashed.",
        "runbook_url": f"https://r.example.com/{text}",
    }
    one = pod(labels={**pod()["labels"], **labels}, annotations=texts)
    return group([one] * count)


@pytest.mark.parametrize("template", KINDS)
def test_limits_hold_with_the_longest_addresses(template: str, render: Renderer) -> None:
    longest = {"cluster": "c" * 40, "namespace": "n" * 63, "pod": "p" * 100, "component": "cert-manager"}
    labels = {**pod()["labels"], **longest, "exported_namespace": "e" * 63}
    texts = {"summary": "& " * 300, "description": "<&> " * 300, "runbook_url": f"https://r.example.com/{'P' * 100}.md"}
    rendered = render(template, group([pod(labels=labels, annotations=texts)] * 50))
    assert len(rendered) <= KINDS[template][1]
    if "title" not in template:
        assert "Silence" in rendered


class Tags(HTMLParser):
    """Collects tags, and what stands in the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        self.targets += [value or "" for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("template", KINDS)
def test_hostile_labels_are_harmless(template: str, text: str, render: Renderer) -> None:
    rendered = render(template, hostile(text))
    kind, limit = KINDS[template]
    assert len(rendered) <= limit
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", rendered)
    if kind == "html":
        tags = Tags()
        tags.feed(rendered)
        allowed = {"b", "i", "a"} if template.startswith("telegram") else {"a", "p", "br", "em", "h3", "html", "head"}
        assert tags.seen <= allowed | ({"title", "meta", "body"} if template.startswith("email") else set())
        assert not tags.open
        assert not [target for target in tags.targets if "evil" in target]
    elif template.startswith("slack"):
        ours = re.sub(r"<https://(r|grafana|alertmanager)\.example\.com[^>|]*\|\w+>", "", rendered)
        assert not set("<>*`~") & set(ours)
    elif template.startswith(("discord", "msteams", "github")):
        ours = re.sub(
            r"\[\w+\]\(https://(r|grafana|alertmanager)\.example\.com[^)]*\)",
            "",
            re.sub(r"\\[^A-Za-z0-9\s]", "", rendered),
        )
        ours = re.sub(r"\*(Since|Resolved) [^*]*\*", "", ours).replace(" | ", "")
        assert not set("*_`~|<>[]()#") & set(ours)
        assert "@everyone" not in rendered
    elif template.startswith("jira"):
        ours = re.sub(
            r"\[\w+\|https://(r|grafana|alertmanager)\.example\.com[^\]]*\]",
            "",
            re.sub(r"\\[^A-Za-z0-9\s]", "", rendered),
        )
        assert not set("{}[]|*_") & set(ours)
