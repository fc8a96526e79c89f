"""References into object stores, through fsspec and the package of the store, where they are installed."""

import importlib
from typing import Any
from urllib.parse import urlsplit

from encoders.errors import MediumError
from encoders.fetch.addresses import is_allowed_host

BUCKET_SCHEMES = ("s3", "gs")


def read_object(uri: str, buckets: tuple[str, ...], max_bytes: int) -> bytes:
    """The bytes of an object; the allow-list of hosts names the buckets.

    Raises MediumError: "unsupported" where the packages are not installed, "refused", "missing", "too_large".
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise MediumError("refused", "not a reference to an object") from error
    if not parts.netloc or not is_allowed_host(parts.netloc, buckets):
        raise MediumError("refused", f"the bucket {parts.netloc!r} is not allowed")
    system = _file_system(parts.scheme)
    try:
        with system.open(f"{parts.netloc}{parts.path}", "rb") as file:
            content: bytes = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise MediumError("missing", "no such object") from error
    except PermissionError as error:
        raise MediumError("refused", "the store denies access") from error
    except Exception as error:
        # Every store has exceptions of its own.
        raise MediumError("missing", f"{type(error).__name__}: {error}"[:200]) from error
    if len(content) > max_bytes:
        raise MediumError("too_large", f"more than {max_bytes} bytes")
    return content


def _file_system(scheme: str) -> Any:
    try:
        return importlib.import_module("fsspec").filesystem(scheme)
    except (ImportError, ValueError) as error:
        raise MediumError("unsupported", f"no package for {scheme}: is installed: {error}") from error
