"""The process that touches untrusted media: `python -m encoders.media.decode_child`, a socket as its input.

The first frame holds the settings; each further one a medium, each answered by one reply. It ends when the
socket closes, which is also what happens when its parent dies.
"""

import contextlib
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable

import msgspec
from PIL import Image

from encoders.base import Medium
from encoders.errors import MediumError
from encoders.media.decode import decode_medium
from encoders.media.decoded import Decoded
from encoders.media.frames import PeerGone, Reply, pack, receive, send
from encoders.settings import EncoderSettings

Decode = Callable[[Medium, EncoderSettings], Decoded]

BASE_MEMORY = 2 * 1024**3
BYTES_PER_PIXEL = 16
"""Copies of the largest allowed picture that are alive at once, with some room."""

READY = b"ready"


def serve(decode: Decode = decode_medium) -> None:
    """Answers media until the parent closes the socket."""
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as link, contextlib.suppress(PeerGone):
        # Nothing that a library prints may reach the socket.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        settings = msgspec.msgpack.decode(receive(link), type=EncoderSettings)
        confine(settings)
        send(link, READY)
        while True:
            medium = msgspec.msgpack.decode(receive(link), type=Medium)
            # Ends this process where the parent can no longer do it.
            signal.alarm(math.ceil(settings.decode_timeout_seconds) + 2)
            reply = msgspec.msgpack.encode(_answer(decode, medium, settings))
            signal.alarm(0)
            send(link, reply)


def confine(settings: EncoderSettings) -> None:
    """Takes from this process what decoding does not need: memory without end, files to write, core dumps."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_AS, BASE_MEMORY + BYTES_PER_PIXEL * settings.max_pixels)
    Image.MAX_IMAGE_PIXELS = settings.max_pixels


def _limit(kind: int, value: int) -> None:
    _, hardest = resource.getrlimit(kind)
    if hardest != resource.RLIM_INFINITY:
        value = min(value, hardest)
    # Some systems know a limit and cannot set it.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (value, value))


def _answer(decode: Decode, medium: Medium, settings: EncoderSettings) -> Reply:
    try:
        return pack(decode(medium, settings))
    except MediumError as error:
        return Reply(reason=error.reason, detail=error.detail)
    except MemoryError:
        return Reply(reason="too_large", detail="decoding takes too much memory")
    except Exception as error:
        return Reply(reason="broken", detail=f"{type(error).__name__}: {error}"[:200])


if __name__ == "__main__":
    serve()
