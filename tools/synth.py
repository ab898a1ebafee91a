"""Runs the program with the SDK's own mocks and returns the objects it asks for. No engine, no cluster."""

import asyncio
import json
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc

from settings import Settings, SettingsError, parse, strict_yaml
from settings.reader import PROJECT

ROOT = Path(__file__).parent.parent
SECRET_MARK = rpc._special_sig_key
RANDOM_PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 (a type token)


@dataclass(frozen=True)
class Alias:
    """An identity that a resource had before; what is empty is as it is now."""

    name: str
    type: str
    parent: str
    """URN of the parent."""


@dataclass(frozen=True)
class Resource:
    """A resource as the program registered it."""

    type: str
    name: str
    urn: str
    parent: str
    inputs: dict[str, Any]
    dependencies: frozenset[str]
    retain_on_delete: bool
    provider: str
    secret: bool
    """Whether a part of the inputs is marked secret."""
    aliases: tuple[Alias, ...] = ()
    transforms: int = 0
    """How many transforms its children go through."""


@dataclass
class Program:
    """What one run of the program registered, in order, and the outputs of each component."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of_type(self, suffix: str) -> list[Resource]:
        """Resources whose type token ends so, for example `:ConfigMap`."""
        return [resource for resource in self.resources if resource.type.endswith(suffix)]

    def named(self, name: str) -> Resource:
        """The one resource of this name. KeyError where there is none."""
        for resource in self.resources:
            if resource.name == name:
                return resource
        raise KeyError(name)


class _Mocks(mocks.Mocks):
    def __init__(self, password: Callable[[str, int], str]) -> None:
        self._password = password

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program calls {args.token}; it is meant to need no provider function")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ == RANDOM_PASSWORD:
            return args.name, {**args.inputs, "result": self._password(args.name, int(args.inputs["length"]))}
        return args.name, args.inputs


class _Monitor(mocks.MockMonitor):
    def __init__(self, mock: _Mocks, program: Program) -> None:
        super().__init__(mock)
        self._program = program

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the name of the call)
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            raw = rpc.deserialize_properties(request.object)
            self._program.resources.append(
                Resource(
                    type=request.type,
                    name=request.name,
                    urn=response.urn,
                    parent=request.parent,
                    inputs=plain(raw),
                    dependencies=frozenset(request.dependencies),
                    retain_on_delete=request.retainOnDelete,
                    provider=request.provider,
                    secret=SECRET_MARK in json.dumps(raw),
                    aliases=tuple(
                        Alias(alias.spec.name, alias.spec.type, alias.spec.parentUrn) for alias in request.aliases
                    ),
                    transforms=len(request.transforms),
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 (the name of the call)
        outputs = plain(rpc.deserialize_properties(request.outputs))
        self._program.outputs[request.urn.rsplit("::", 1)[-1]] = outputs
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def plain(value: Any) -> Any:
    """A value without the marks of secrets, and with whole numbers as integers (the wire knows only floats)."""
    if isinstance(value, Mapping):
        if SECRET_MARK in value:
            return plain(value.get("value"))
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def stack_config(file: Path) -> dict[str, Any]:
    """The `config` of a stack file, keys as they stand there.

    Raises SettingsError where the file is missing or no YAML with a `config` mapping.
    """
    try:
        content = strict_yaml.read(file)
    except FileNotFoundError:
        have = ", ".join(sorted(path.name for path in ROOT.glob("Pulumi.*.yaml")))
        raise SettingsError(f"{file.name} does not exist; stack files here: {have}") from None
    except strict_yaml.StrictYamlError as error:
        raise SettingsError(f"{file.name}: {error}") from None
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, dict):
        raise SettingsError(f"{file.name} has no `config:` with the settings of the stack")
    return config


def settings_of(file: Path, config: Mapping[str, Any]) -> Settings:
    """Settings of a stack file's `config`, whether its secrets are set or not. Keys of others are theirs.

    Raises SettingsError for its mistakes.
    """
    prefix = f"{PROJECT}:"
    own = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    sections = {key: value for key, value in own.items() if not is_secure(value)}
    return parse(sections, file.name, check_secrets=False)


def run_config(config: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Configuration as the engine hands it to a program: texts and JSON, and which keys are secret.

    Secrets are not decrypted: each becomes a placeholder that names its key.
    """
    values: dict[str, str] = {}
    secret: list[str] = []
    for key, value in config.items():
        if is_secure(value):
            secret.append(key)
            values[key] = placeholder(key.removeprefix(f"{PROJECT}:"))
        else:
            values[key] = value if isinstance(value, str) else json.dumps(value, default=str)
    return values, secret


def is_secure(value: object) -> bool:
    """Whether a value of a stack file is an encrypted one."""
    return isinstance(value, dict) and set(value) == {"secure"}


def placeholder(key: str) -> str:
    """What stands for a secret wherever no secret may be."""
    return f"<secret {key}>"


def synthesize(
    stack: str,
    config: Mapping[str, Any],
    *,
    secrets: Mapping[str, str] | None = None,
    password: Callable[[str, int], str] = lambda name, _length: placeholder(name),
) -> Program:
    """Everything that the program registers for a stack's `config`.

    `secrets` are values of secret keys (without the project's name); `password` makes the generated ones from a
    resource's name and a length. Raises SettingsError as the program does.
    """
    values, secret_keys = run_config(config)
    for key, value in (secrets or {}).items():
        values[f"{PROJECT}:{key}"] = value
        secret_keys.append(f"{PROJECT}:{key}")
    program = Program()
    mock = _Mocks(password)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        pulumi.runtime.set_mocks(mock, project=PROJECT, stack=stack, preview=False, monitor=_Monitor(mock, program))
        pulumi.runtime.set_all_config(values, secret_keys)
        pulumi.runtime.test(lambda: runpy.run_path(str(ROOT / "__main__.py")) and None)()  # type: ignore[no-untyped-call]
    finally:
        loop.close()
        asyncio.set_event_loop(asyncio.new_event_loop())
    return program
