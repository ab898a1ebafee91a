"""Loki's bucket, copied by rclone, which knows all three clouds. Credentials are those of the environment."""

import shutil
import subprocess
from pathlib import Path

from settings.logs import GCS, S3, Azure, Filesystem, MinIO, Storage
from tools.console import UserError, progress

FOLDER = "bucket"
MISSING = (
    "Loki's chunks lie in a bucket, and rclone, which would copy it, is not on PATH. Install it (https://rclone.org), "
    "or leave the bucket to its own versioning and replication with BUCKET=no."
)


def remote(storage: Storage) -> str | None:
    """The bucket in rclone's words; None where chunks lie on a claim. No credential is ever in it."""
    match storage:
        case S3(bucket=bucket, region=region, endpoint=None):
            return f":s3,provider=AWS,env_auth=true,region={region}:{bucket}"
        case S3(bucket=bucket, region=region, endpoint=endpoint):
            return f':s3,provider=Other,env_auth=true,region={region},endpoint="{endpoint}":{bucket}'
        case GCS(bucket=bucket):
            return f":gcs,env_auth=true,bucket_policy_only=true:{bucket}"
        case Azure(account=account, container=container):
            return f":azureblob,env_auth=true,account={account}:{container}"
        case Filesystem() | MinIO():
            return None


def check(storage: Storage) -> None:
    """Raises UserError where there is a bucket to be copied, and nothing to copy it with."""
    if remote(storage) is not None and shutil.which("rclone") is None:
        raise UserError(MISSING)


def save(storage: Storage, folder: Path, program: str | None = None) -> None:
    """Make the folder equal to the bucket: what is there already is not copied again. Raises UserError."""
    if (place := remote(storage)) is not None:
        _rclone(program, "sync", place, str(folder / FOLDER))


def restore(storage: Storage, folder: Path, program: str | None = None) -> None:
    """Copy back what the bucket lacks; nothing in it is deleted. Raises UserError."""
    if (place := remote(storage)) is not None and (folder / FOLDER).is_dir():
        _rclone(program, "copy", str(folder / FOLDER), place)


def _rclone(program: str | None, *arguments: str) -> None:
    found = program or shutil.which("rclone")
    if found is None:
        raise UserError(MISSING)
    with progress(f"rclone {arguments[0]}"):
        result = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(f"rclone {arguments[0]} failed: {result.stderr.strip()[-500:]}")
