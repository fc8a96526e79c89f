"""References into object stores, through fsspec and the package of the store, where they are installed."""

import importlib
import time
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from encoders.errors import MediumError
from encoders.fetch.addresses import is_allowed_host
from encoders.fetch.leaving import within
from encoders.fetch.passing import PassingError
from encoders.fetch.request import Answer, FetchRequest, Validators
from encoders.settings import FetchSettings

EXTRAS = {"s3": "s3", "gs": "gcs"}
"""Scheme to the extra of this package that brings what reads it."""
BUCKET_SCHEMES = tuple(EXTRAS)
ETAGS = ("ETag", "etag", "md5Hash")
PART = 1024 * 1024
MODIFIED = ("LastModified", "updated", "mtime", "created")


def read_object(request: FetchRequest, settings: FetchSettings, latest: float) -> Answer:
    """The bytes of an object, unless the store says that what is known still holds.

    The allow-list of hosts names the buckets, and must: an object is read with this process's own rights,
    which whoever sends a reference should not borrow. Raises MediumError: "unsupported" where the packages
    are not installed, "refused", "missing", "too_large", "too_slow" at `latest` (of time.monotonic), however
    the store hangs; PassingError for what another try may mend.
    """
    return within(partial(_read_object, request, settings, latest), latest)


def _read_object(request: FetchRequest, settings: FetchSettings, latest: float) -> Answer:
    bucket, path, scheme = _parts(request.uri, settings)
    system = _file_system(scheme)
    try:
        known = system.info(path)
        validators = Validators(_first(known, ETAGS), _first(known, MODIFIED))
        if validators and validators == request.known:
            return Answer(None, validators, settings.fresh_seconds)
        _check_size(int(known.get("size") or 0), settings.max_bytes)
        with system.open(path, "rb") as file:
            content = _content(file, settings.max_bytes, latest)
    except FileNotFoundError as error:
        raise MediumError("missing", f"no such object in {bucket}") from error
    except PermissionError as error:
        raise MediumError("refused", "the store denies access") from error
    except MediumError:
        raise
    except Exception as error:
        # Every store has exceptions of its own.
        raise PassingError(MediumError("missing", f"{type(error).__name__}: {error}"[:200])) from error
    return Answer(content, validators, settings.fresh_seconds)


def _parts(uri: str, settings: FetchSettings) -> tuple[str, str, str]:
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise MediumError("refused", "not a reference to an object") from error
    if not parts.netloc or not settings.hosts or not is_allowed_host(parts.netloc, settings.hosts):
        raise MediumError("refused", f"the bucket {parts.netloc!r} is not among fetch.hosts")
    return parts.netloc, f"{parts.netloc}{parts.path}", parts.scheme


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise MediumError("too_large", f"{size} bytes, {most} allowed")


def _content(file: Any, most: int, latest: float) -> bytes:
    """All of the file, in parts, so that a slow one ends in time."""
    content = bytearray()
    while part := file.read(min(PART, most + 1 - len(content))):
        content += part
        _check_size(len(content), most)
        if time.monotonic() >= latest:
            raise MediumError("too_slow", "the time for this fetch is used up")
    return bytes(content)


def _first(known: dict[str, Any], keys: tuple[str, ...]) -> str:
    return next((str(known[key]) for key in keys if known.get(key)), "")


def _file_system(scheme: str) -> Any:
    try:
        return importlib.import_module("fsspec").filesystem(scheme, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise MediumError(
            "unsupported", f"{scheme}: references need a package: install penchant[{EXTRAS[scheme]}]"
        ) from error
