"""Opening an untrusted container of sound and video."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import av
import av.error
import av.logging

from encoders.errors import MediumError

# Demuxers that read one self-contained file. Playlists (hls, dash, concat, sdp ...) are left out: they
# would make the demuxer open further files and addresses.
DEMUXERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,gif,m4v,matroska,webm,"
    "mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,mpegvideo,ogg,opus,w64,wav,wv"
)
OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "none"}

MEDIUM_ERRORS = (av.error.FFmpegError, ValueError, OverflowError, IndexError, UnicodeError)
"""What PyAV raises for bytes that it cannot read."""


@contextmanager
def opened(content: bytes) -> Iterator[Any]:
    """A PyAV input container over the bytes, closed at the end.

    Raises MediumError: "empty" for no bytes, "broken" for any failure of reading within the block,
    "too_large" where memory does not suffice.
    """
    if not content:
        raise MediumError("empty", "the medium has no bytes")
    av.logging.set_level(None)
    try:
        with av.open(BytesIO(content), mode="r", options=OPTIONS, metadata_errors="ignore") as container:
            yield container
    except MemoryError as error:
        raise MediumError("too_large", "decoding takes too much memory") from error
    except MEDIUM_ERRORS as error:
        raise MediumError("broken", f"{type(error).__name__}: {error}"[:200]) from error
