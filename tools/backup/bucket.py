"""Loki's bucket, copied by rclone, which knows all three clouds. Credentials are those of the environment.

Any rclone on PATH is taken; else the pinned one is built, with the backends of these clouds alone.
"""

import shutil
import subprocess
from pathlib import Path

from settings.logs import GCS, S3, Azure, Filesystem, MinIO, Storage
from tools import binaries
from tools.console import UserError, progress

FOLDER = "bucket"
MISSING = (
    "Loki's chunks lie in a bucket, and rclone, which would copy it, can neither be found nor built. Install it "
    "(https://rclone.org), or leave the bucket to its own versioning and replication with BUCKET=no."
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
    if remote(storage) is not None:
        _program()


def save(storage: Storage, folder: Path) -> None:
    """Make the folder equal to the bucket: what is there already is not copied again. Raises UserError."""
    if (place := remote(storage)) is not None:
        rclone("sync", place, str(folder / FOLDER))


def restore(storage: Storage, folder: Path) -> None:
    """Copy back what the bucket lacks; nothing in it is deleted. Raises UserError."""
    if (place := remote(storage)) is not None and (folder / FOLDER).is_dir():
        rclone("copy", str(folder / FOLDER), place)


def rclone(*arguments: str) -> None:
    """Run rclone. Raises UserError with its own words."""
    program = _program()
    # Without a configuration file of its own: whose remotes it knows must not matter.
    command = [program, "--config=", *arguments]
    with progress(f"rclone {arguments[0]}"):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(f"rclone {arguments[0]} failed: {result.stderr.strip()[-500:]}")


def _program() -> str:
    if found := shutil.which("rclone"):
        return found
    try:
        return str(binaries.find("rclone"))
    except UserError as error:
        raise UserError(f"{MISSING}\n{error}") from None
