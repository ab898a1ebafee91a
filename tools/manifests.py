"""Kubernetes objects of a stack: what the program asks for, and what its charts render to."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from settings.certificates import are_certificates
from settings.reader import PROJECT, authority_keys, secret_keys
from tools import charts, stand_in, synth
from tools.binaries import module_dir

CRD_FOLDER = "example/prometheus-operator-crd"
KUBERNETES = "kubernetes:"
PREFIX = f"{PROJECT}:"
CHART = "kubernetes:helm.sh/v4:Chart"
RELEASE = "kubernetes:helm.sh/v3:Release"
RELOADER = "--prometheus-config-reloader="
"""Argument by which the operator is told the image of a container that it adds."""


@dataclass
class Manifests:
    """Objects of a stack in the order of the program, and what is worth saying about them."""

    stack: str
    objects: list[dict[str, Any]] = field(default_factory=list)
    missing_charts: list[str] = field(default_factory=list)
    """Charts that cannot be reached and that nothing stands in for."""
    crds_from_module: bool = False
    """Whether the CRDs come from the operator's Go module, since their chart could not be had."""
    unset_secrets: list[str] = field(default_factory=list)
    """Secrets that the stack needs and its file does not have."""
    stand_ins: list[str] = field(default_factory=list)
    """What is not the real thing, in words. Only the local cluster has any."""


def objects_of(resource: synth.Resource) -> dict[str, Any] | None:
    """The Kubernetes object of a resource; None for components, charts, providers and passwords."""
    if not resource.type.startswith(KUBERNETES) or resource.type in {CHART, RELEASE}:
        return None
    item = dict(resource.inputs)
    # A Patch resource is an ordinary object to everybody but the engine.
    item["kind"] = item["kind"].removesuffix("Patch")
    annotations = item["metadata"].get("annotations", {})
    kept = {key: value for key, value in annotations.items() if not key.startswith("pulumi.com/")}
    item["metadata"] = {key: value for key, value in item["metadata"].items() if key != "annotations"} | (
        {"annotations": kept} if kept else {}
    )
    return {key: item[key] for key in ("apiVersion", "kind", "metadata")} | {
        key: value for key, value in item.items() if key not in {"apiVersion", "kind", "metadata"}
    }


def unset_secrets(file: Path, config: Mapping[str, Any]) -> list[str]:
    """Secrets that the settings name and the stack file does not hold."""
    wanted = secret_keys(synth.settings_of(file, config))
    return [key for key in wanted if f"{PREFIX}{key}" not in config]


def manifests(
    stack: str,
    file: Path,
    *,
    secrets: Callable[[str], str] = synth.placeholder,
    password: Callable[[str, int], str] = lambda name, _length: synth.placeholder(name),
    local: bool = False,
    grafana: bool = True,
) -> Manifests:
    """All objects of a stack file.

    `secrets` gives the value of a secret that the file does not hold, `password` that of a generated one. `local`
    puts stand-ins in the place of what the local cluster cannot have: a chart out of reach, the DCGM exporter; there,
    `grafana` says whether Grafana can run.
    Raises SettingsError for mistakes in the stack file.
    """
    config = synth.stack_config(file)
    without_chart = local and charts.chart(stand_in.CHART) is None
    if without_chart or not grafana:
        config = stand_in.without_grafana(config)
    unset = unset_secrets(file, config)
    program = synth.synthesize(stack, config, secrets={key: secrets(key) for key in unset}, password=password)
    result = Manifests(stack, unset_secrets=unset)
    for resource in program.resources:
        if resource.type in {CHART, RELEASE}:
            _add_chart(result, resource)
        elif (item := objects_of(resource)) is not None:
            result.objects.append(item)
    if without_chart:
        result.missing_charts.remove(stand_in.CHART)
        result.objects += stand_in.chart_objects(synth.settings_of(file, config))
    if local:
        result.objects = stand_in.recorded(result.objects)
        result.stand_ins = stand_in.names(result.objects)
        for key in authority_keys(synth.settings_of(file, config)):
            if key in unset and are_certificates(secrets(key)):
                result.stand_ins.append(
                    f"The secret {key} is not set. A certificate made here, which has signed nothing, is in its place."
                )
    return result


def _add_chart(result: Manifests, resource: synth.Resource) -> None:
    name, inputs = resource.inputs["name"], resource.inputs
    given = Path(inputs["chart"])
    location = given if given.exists() else charts.chart(name)
    if location is not None:
        values = inputs.get("values", {})
        result.objects += charts.template(location, inputs["name"], inputs["namespace"], values)
    elif name == "prometheus-operator-crds":
        result.crds_from_module = True
        folder = module_dir("prometheus-operator") / CRD_FOLDER
        switches = inputs.get("values", {}).get("crds", {})
        for path in sorted(folder.glob("*.yaml")):
            for crd in charts.read_objects(path.read_text(encoding="utf-8")):
                if switches.get(crd["spec"]["names"]["plural"], {}).get("enabled", True):
                    result.objects.append(crd)
    else:
        result.missing_charts.append(name)


def images(objects: Iterable[dict[str, Any]]) -> list[str]:
    """References of every image that the objects need, those that the operator puts into its pods among them."""
    return list(dict.fromkeys(reference for item in objects for reference in _images(item)))


def _images(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "image" and isinstance(item, str):
                yield item
            elif value.get("kind") != "CustomResourceDefinition":
                yield from _images(item)
    elif isinstance(value, list):
        for item in value:
            yield from _images(item)
    elif isinstance(value, str) and value.startswith(RELOADER):
        yield value.removeprefix(RELOADER)
