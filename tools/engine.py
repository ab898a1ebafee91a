"""The Pulumi engine: is it there, and running it on a stack."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from settings.reader import PROJECT
from tools import charts, go_build
from tools.console import UserError, heard, progress, say
from tools.manifests import unset_secrets
from tools.synth import ROOT, is_secure, stack_config

PLUGINS = {"kubernetes": "4.34.2", "random": "4.21.4"}
INSTALLER = "https://get.pulumi.com"
INSTALLER_SECONDS = 20
NO_CONFIG_FILE = ("stack", "state")
"""Commands that know no --config-file."""
FASTER = {
    # The engine writes its whole state twice for each object. It takes only one of the two.
    "PULUMI_DIY_BACKEND_ZSTD": "true",
    "PULUMI_DIY_BACKEND_GZIP": "false",
    # Of the engine and its plugins: a tenth of their work was to look for memory that is free again.
    "GOGC": os.environ.get("GOGC", "400"),
}
"""Environment that makes the engine faster. The workflows set the same, in which GZIP is not set at all."""
ADOPT = {"PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true", "PULUMI_K8S_ENABLE_PATCH_FORCE": "true"}
"""Environment with which an `up` takes over objects that its state does not know, instead of failing on them.

An `up` that was cut off leaves some: the provider gave up its requests, and the API server took them all the same. By
force, since what hangs on a password differs where the state lost that as well. Not for every run: with it, an object
that is renamed in the program without an alias is deleted after it was made.
"""


class EngineFailedError(UserError):
    """The engine ended with an exit code of its own, not by a signal."""


@dataclass(frozen=True)
class Engine:
    """A Pulumi CLI with the plugins of the program."""

    pulumi: Path

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, quiet: bool = False, stdin: str | None = None
    ) -> str:
        """Run the CLI in the project; returns its output, or shows it while it runs unless `quiet`.

        Raises EngineFailedError with its last lines when it fails, another UserError when it was killed, and
        KeyboardInterrupt after its end when this program was told to end.
        """
        command = [str(self.pulumi), *arguments, "--non-interactive"]
        environment = {**os.environ, **environment, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        code, output = _to_its_end(command, environment, quiet=quiet, stdin=stdin)
        if code:
            detail = f": {output.strip()[-6000:]}" if quiet else "; what it said is above"
            kind = EngineFailedError if code > 0 else UserError
            raise kind(f"pulumi {' '.join(arguments[:2])} failed with code {code}{detail}")
        return output


def _to_its_end(
    command: Sequence[str], environment: Mapping[str, str], *, quiet: bool, stdin: str | None
) -> tuple[int, str]:
    """Exit code and output of the CLI.

    It is a process group of its own: what ends this program reaches it through us alone, as the one signal that lets it
    write what it has done so far. We wait for that. A second Ctrl-C ends it at once. Raises KeyboardInterrupt then.
    """
    told: list[int] = []
    started: list[subprocess.Popen[str]] = []

    def hear(number: int, _frame: object) -> None:
        if started and (number == signal.SIGINT or not told):
            started[0].send_signal(signal.SIGINT)
        told.append(number)

    with (
        heard(hear),
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            process_group=0,
        ) as process,
    ):
        if told:
            process.send_signal(signal.SIGINT)
        started.append(process)
        output, _ = process.communicate(stdin)
    if told:
        raise KeyboardInterrupt
    return process.returncode, output or ""


def find(*, install: bool = False) -> Engine | str:
    """The engine with its plugins; else the reason why there is none, in words.

    `install` tries the official installer where no CLI is on PATH.
    """
    program = shutil.which("pulumi", path=f"{os.environ.get('PATH', '')}{os.pathsep}{_installed() / 'bin'}")
    if program is None and install:
        program = _install()
    if program is None:
        return "no pulumi command is on PATH, and the official installer cannot be reached"
    engine = Engine(Path(program))
    missing = [name for name in PLUGINS if not _has_plugin(engine, name)]
    if missing:
        return f"the engine has no plugin {', '.join(missing)} and cannot download it"
    return engine


def _has_plugin(engine: Engine, name: str) -> bool:
    if shutil.which(f"pulumi-resource-{name}"):
        return True
    try:
        engine.run(["plugin", "install", "resource", name, PLUGINS[name]], {}, quiet=True)
    except UserError:
        return False
    return True


def _installed() -> Path:
    return go_build.cache_dir().parent / "pulumi"


def _install() -> str | None:
    try:
        with (
            progress("downloading the Pulumi installer"),
            urllib.request.urlopen(INSTALLER, timeout=INSTALLER_SECONDS) as answer,
        ):
            script = answer.read()
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        say(f"The Pulumi installer at {INSTALLER} cannot be reached: {error}")
        return None
    with tempfile.NamedTemporaryFile(suffix=".sh") as file:
        file.write(script)
        file.flush()
        command = ["sh", file.name, "--install-root", str(_installed()), "--no-edit-path"]
        subprocess.run(command, check=False, capture_output=True)
    program = _installed() / "bin" / "pulumi"
    return str(program) if program.is_file() else None


@dataclass(frozen=True)
class LocalStack:
    """A stack on the local cluster: its state, passphrase and copy of the stack file lie below one folder."""

    engine: Engine
    stack: str
    folder: Path

    @property
    def config_file(self) -> Path:
        """The copy of the stack file: the engine writes its salt there, and the tracked file stays clean."""
        return self.folder / f"Pulumi.{self.stack}.yaml"

    def environment(self) -> dict[str, str]:
        """Backend in a folder, passphrase from a file that only this user reads."""
        passphrase = self.folder / "passphrase"
        if not passphrase.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            passphrase.touch(mode=0o600)
            passphrase.write_text(secrets.token_urlsafe(24))
        (self.folder / "state").mkdir(exist_ok=True)
        return {
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
            **FASTER,
            "VIRTUAL_ENV": str(ROOT / ".venv"),
        }

    def prepare(
        self,
        kubeconfig: Path,
        secret: Callable[[str], str],
        file: Path | None = None,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
    ) -> None:
        """Write the copy of the stack file (or of `file`) for this cluster, and make the stack.

        `secret` gives the value of a secret that the file does not hold; it goes encrypted into the copy. `change` is
        what else differs in the copy.
        """
        file = file or ROOT / f"Pulumi.{self.stack}.yaml"
        config = change(stack_config(file))
        cluster = {**config[f"{PROJECT}:cluster"], "kubeconfig": str(kubeconfig)}
        cluster.pop("context", None)
        chart = dict(config.get(f"{PROJECT}:kubePrometheusStack", {}))
        for key, name in (("chart", "kube-prometheus-stack"), ("crdsChart", "prometheus-operator-crds")):
            location = charts.chart(name)
            if location is not None and key not in chart:
                chart[key] = {"location": str(location)}
        changed = {**config, f"{PROJECT}:cluster": cluster, f"{PROJECT}:kubePrometheusStack": chart}
        content: dict[str, object] = {"config": changed}
        if self.config_file.exists():
            before = yaml.safe_load(self.config_file.read_text())
            content |= {key: before[key] for key in ("encryptionsalt", "secretsprovider") if key in before}
            changed |= {key: value for key, value in before["config"].items() if is_secure(value)}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        # `stack` commands know no --config-file: run in this folder, they write the salt into the copy.
        (self.folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
        self.engine.run(["stack", "select", self.stack, "--create", *self._here()], self.environment(), quiet=True)
        for key in unset_secrets(file, changed):
            command = ["config", "set", "--secret", f"{PROJECT}:{key}", "--stack", self.stack, *self._here()]
            # By standard input: process arguments can be read by everybody on the machine.
            self.engine.run(command, self.environment(), quiet=True, stdin=secret(key))

    def _here(self) -> list[str]:
        return ["--cwd", str(self.folder)]

    def run(self, *arguments: str, quiet: bool = False, adopt: bool = False) -> str:
        """Run the CLI on this stack; `adopt` takes over what the state does not know. Raises UserError if it fails."""
        place = self._here() if arguments[0] in NO_CONFIG_FILE else ["--config-file", str(self.config_file)]
        environment = self.environment() | (ADOPT if adopt else {})
        return self.engine.run([*arguments, "--stack", self.stack, *place], environment, quiet=quiet)
