"""What the texts name exists: targets, links, programs, settings, alerts; and what the automation reads is there."""

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import rule_files
from settings import parse
from tests.docs.texts import CODE, PAGES, code, names, targets_in
from tools.synth import ROOT

AUTOMATION = sorted([*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml"])
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", names([*PAGES, *AUTOMATION]))
def test_every_target_exists(page: str) -> None:
    named = {name for _, text in code(ROOT / page) for name in targets_in(text)}
    missing = sorted(named - targets())
    assert not missing, f"{page} names make {', make '.join(missing)}, which the Makefile does not have"


def test_targets_are_found_where_they_are_named() -> None:
    assert targets_in("make diff BASE=main\n script: [make lint]\n- run: make test-all") == [
        "diff",
        "lint",
        "test-all",
    ]
    assert {"make", "all"} & targets() == set()
    assert {"help", "test", "test-all"} <= targets()


@pytest.mark.parametrize("page", names([*PAGES, *AUTOMATION]))
def test_every_program_exists(page: str) -> None:
    for name in re.findall(r"-m (tools[\w.]*)", (ROOT / page).read_text(encoding="utf-8")):
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{page} names {name}"


@pytest.mark.parametrize("page", names(PAGES))
def test_every_link_leads_somewhere(page: str) -> None:
    text = CODE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", link):
            file, _, anchor = link.partition("#")
            target = (ROOT / page).parent / file if file else ROOT / page
            assert target.exists(), f"{page} links to {link}"
            assert not anchor or anchor in anchors(target), f"{page} links to {link}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    for page in PAGES:
        for kind, text in code(page):
            if kind == "yaml" and "observability:" in text:
                content = yaml.safe_load(text)
                yield str(page.relative_to(ROOT)), content.get("config", content)


@pytest.mark.parametrize(("page", "config"), list(examples()))
def test_every_example_of_settings_is_accepted(page: str, config: dict[str, Any]) -> None:
    sections = {key.removeprefix("observability:"): value for key, value in config.items()}
    least: dict[str, Any] = {"cluster": {"name": "a", "distribution": "eks"}, "alertmanager": {"heartbeat": "none"}}
    for key, value in least.items():
        sections[key] = {**value, **sections.get(key, {})}
    for tuning in sections.get("alerts", {}).get("tune", {}).values():
        if "disabled" in tuning:
            tuning["disabled"] = {**tuning["disabled"], "until": date.max}  # the date of an example passes
    settings = parse(sections, page, check_secrets=False)
    files = [file for kind in ("prometheus", "loki") for file in rule_files.load(ROOT / "rules" / kind)]
    rule_files.check_tuning(files, settings.alerts)


@pytest.mark.parametrize("page", names(PAGES))
def test_every_yaml_block_can_be_read(page: str) -> None:
    for kind, text in code(ROOT / page):
        if kind == "yaml":
            assert yaml.safe_load(text), page


@pytest.mark.parametrize("file", names(AUTOMATION))
def test_actions_are_pinned_by_commit(file: str) -> None:
    for line in re.findall(r"uses: (.+)", (ROOT / file).read_text()):
        assert line.startswith("./") or re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_secrets_never_meet_the_code_of_a_fork() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/pull-request.yml").read_text())["jobs"]
    for name, job in jobs.items():
        if "secrets." in json.dumps(job):
            assert "head.repo.full_name == github.repository" in job["if"], name
    assert "pull_request_target" not in "".join(path.read_text() for path in WORKFLOWS)


def test_a_deployment_is_never_stopped_half_way() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/deploy-stack.yml").read_text())["jobs"]["up"]
    assert job["concurrency"] == {"group": "deploy-${{ inputs.stack }}", "cancel-in-progress": False}
    assert job["environment"] == "${{ inputs.stack }}"


def test_deployed_stacks_have_files() -> None:
    text = "".join(path.read_text() for path in WORKFLOWS)
    stacks = re.findall(r"^ +stack: (\w+)$", text, re.MULTILINE)
    stacks += [name for found in re.findall(r"stack: \[([\w, -]+)\]", text) for name in found.split(", ")]
    assert stacks
    assert all((ROOT / f"Pulumi.{stack}.yaml").exists() for stack in stacks), stacks


def test_renovate_reads_every_version() -> None:
    manager = json.loads((ROOT / "renovate.json").read_text())["customManagers"][0]
    pattern = re.compile(manager["matchStrings"][0].replace("(?<", "(?P<"))
    text = (ROOT / "components" / "versions.py").read_text()
    found = [match.groupdict() for match in pattern.finditer(text)]
    assert len(found) == len(re.findall(r"# renovate: ", text)) > 10
    assert all(re.match(r"v?\d+\.\d+|RELEASE\.\d{4}-", item["currentValue"]) for item in found), found
