"""References that need no network: files under allowed folders, and data inside the reference."""

import base64
import binascii
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from encoders.errors import MediumError
from encoders.fetch.request import Answer, FetchRequest, Validators


def read_file(request: FetchRequest, roots: Sequence[str], max_bytes: int) -> Answer:
    """The bytes of a regular file under one of the roots, once symbolic links are resolved.

    No bytes where the file's size, time and place on the disk are those that are known. Raises MediumError:
    "refused" outside the roots or for anything but a regular file (and says no more, so that a reference
    cannot tell what exists), "missing", "too_large".
    """
    path = _path(request.uri)
    try:
        real = path.resolve()
        if not any(real.is_relative_to(Path(root).resolve()) for root in roots):
            raise MediumError("refused", "outside the folders that may be read")
        return _contents(real, max_bytes, request.known)
    except FileNotFoundError as error:
        raise MediumError("missing", "no such file") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise MediumError("refused", f"{type(error).__name__}: the file cannot be read") from error


def _path(uri: str) -> Path:
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise MediumError("refused", "not a file reference") from error
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute():
        raise MediumError("refused", "a file reference is an absolute path on this machine")
    return path


def _contents(path: Path, max_bytes: int, known: Validators | None) -> Answer:
    # No following of a link put there since, no waiting at a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise MediumError("refused", "not a regular file")
        validators = Validators(f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}")
        if validators == known:
            return Answer(None, validators)
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise MediumError("too_large", f"more than {max_bytes} bytes")
    return Answer(content, validators)


def read_data(uri: str, max_bytes: int) -> bytes:
    """The bytes inside a `data:` reference (RFC 2397), base64 or percent-encoded.

    Raises MediumError: "broken", "too_large".
    """
    head, comma, body = uri.partition(",")
    if not comma:
        raise MediumError("broken", "a data reference without a comma")
    # Percent coding triples the bytes at most.
    if len(body) > 3 * max_bytes + 1024:
        raise MediumError("too_large", f"more than {max_bytes} bytes")
    content = unquote_to_bytes(body)
    if head.lower().replace(" ", "").endswith(";base64"):
        content = _from_base64(content)
    if len(content) > max_bytes:
        raise MediumError("too_large", f"{len(content)} bytes, {max_bytes} allowed")
    return content


def _from_base64(content: bytes) -> bytes:
    packed = b"".join(content.split()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error as error:
        raise MediumError("broken", f"not base64: {error}") from error
