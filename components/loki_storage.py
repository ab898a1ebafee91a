"""Credentials of Loki's object storage: as a Secret, and as environment of whatever runs Loki."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import addresses, pods
from settings import Settings
from settings.logs import S3, Azure, MinIO

SECRET = f"{addresses.LOKI}-storage"
S3_KEYS = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")


def credentials(settings: Settings) -> dict[str, str]:
    """Environment variable of each storage credential of the stack file, and the key of the file that holds it."""
    match settings.loki.storage:
        case S3(access_key_id_secret=str(key), secret_access_key_secret=str(secret)):
            return dict(zip(S3_KEYS, (key, secret), strict=True))
        case Azure(account_key_secret=str(key)):
            return {"AZURE_ACCOUNT_KEY": key}
        case _:
            return {}


def env(settings: Settings) -> list[dict[str, Any]]:
    """Environment of a Loki that gives it the credentials. A MinIO of ours brings its own Secret of the same name."""
    names = S3_KEYS if isinstance(settings.loki.storage, MinIO) else tuple(credentials(settings))
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": name}}} for name in names]


def secret(
    name: str, settings: Settings, secrets: Mapping[str, pulumi.Output[str]], parent: pulumi.Resource
) -> dict[str, pulumi.Output[str]]:
    """Make the Secret of the stack file's credentials, if it holds any; the annotation that rolls pods with them."""
    wanted = credentials(settings)
    if not wanted:
        return {}
    k8s.core.v1.Secret(
        f"{name}-storage",
        metadata=pods.metadata(addresses.LOKI, settings.namespaces.main, SECRET),
        string_data={variable: secrets[key] for variable, key in wanted.items()},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    given = pulumi.Output.all(*(secrets[key] for key in wanted.values()))
    # The hash of long random keys gives nothing away; marked plain, it keeps diffs readable.
    return {"checksum/credentials": pulumi.Output.unsecret(given.apply(pods.checksum))}
