"""A decoding process that does what its media tell it: what a decoder that was taken over might do."""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from encoders.base import Medium
from encoders.media.decode import decode_medium
from encoders.media.decode_child import serve
from encoders.media.decoded import Decoded
from encoders.settings import EncoderSettings


def abort_once(marker: str) -> None:
    try:
        # A folder, since files cannot be written here.
        Path(marker).mkdir()
    except FileExistsError:
        return
    os.abort()


def write(path: str) -> str:
    try:
        Path(path).write_text("content")
    except OSError as error:
        return str(error)
    return "written"


def print_much() -> None:
    print("not a frame", flush=True)
    os.write(1, b"nor this")


def babble() -> None:
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"\xff" * 64)
    signal.pause()


ORDERS: dict[str, Callable[[str], object]] = {
    "abort": lambda _: os.abort(),
    "abort-once": abort_once,
    "hang": lambda _: signal.pause(),
    "eat": lambda _: str(len(bytearray(1 << 40))),
    "write": write,
    "environment": lambda _: " ".join(os.environ),
    "print": lambda _: print_much(),
    "pid": lambda _: str(os.getpid()),
    "babble": lambda _: babble(),
}


def obey(medium: Medium, settings: EncoderSettings) -> Decoded:
    order, _, argument = medium.name.partition(":")
    said = ORDERS.get(order, lambda _: None)(argument)
    return Decoded(medium.modality, text=said) if isinstance(said, str) else decode_medium(medium, settings)


if __name__ == "__main__":
    serve(obey)
