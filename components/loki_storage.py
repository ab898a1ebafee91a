"""Loki's object storage: its block of the configuration, and its credentials as a Secret and as environment."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import addresses, pods
from settings import Settings
from settings.logs import GCS, S3, Azure, MinIO

SECRET = f"{addresses.LOKI}-storage"
S3_KEYS = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
AZURE_KEY = "AZURE_ACCOUNT_KEY"
MINIO_BUCKET = "loki"


def block(settings: Settings) -> dict[str, Any]:
    """The `common.storage` block of Loki's configuration. Credentials in it are names of environment variables."""
    choice = settings.loki.storage
    key_id, key = (f"${{{variable}}}" for variable in S3_KEYS)
    keys = {"access_key_id": key_id, "secret_access_key": key}
    match choice:
        case MinIO():
            endpoint = addresses.service(addresses.MINIO, settings.namespaces.main, addresses.MINIO_PORT)
            found = {"bucketnames": MINIO_BUCKET, "region": "us-east-1", "s3forcepathstyle": True, "endpoint": endpoint}
            return {"s3": found | keys}
        case S3():
            return {
                "s3": {
                    "bucketnames": choice.bucket,
                    "region": choice.region,
                    "s3forcepathstyle": choice.endpoint is not None,
                }
                | ({"endpoint": choice.endpoint} if choice.endpoint else {})
                | (keys if choice.access_key_id_secret else {})
            }
        case GCS():
            return {"gcs": {"bucket_name": choice.bucket}}
        case Azure():
            identity = {"use_federated_token": True}
            return {
                "azure": {"account_name": choice.account, "container_name": choice.container}
                | ({"account_key": f"${{{AZURE_KEY}}}"} if choice.account_key_secret else identity)
            }
        case _:
            return {"filesystem": {"chunks_directory": "/loki/chunks", "rules_directory": "/loki/rules"}}


def credentials(settings: Settings) -> dict[str, str]:
    """Environment variable of each storage credential of the stack file, and the key of the file that holds it."""
    match settings.loki.storage:
        case S3(access_key_id_secret=str(key), secret_access_key_secret=str(secret)):
            return dict(zip(S3_KEYS, (key, secret), strict=True))
        case Azure(account_key_secret=str(key)):
            return {AZURE_KEY: key}
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
