"""What passes between the pool and its children: length-prefixed msgpack over a socket pair."""

import socket
import struct
import time
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from encoders.base import Modality
from encoders.errors import REASONS, MediumError
from encoders.media.decoded import Decoded

LENGTH = struct.Struct("<Q")
CHUNK = 1 << 20
LONGEST = 1 << 30
"""Bytes; no frame is longer, whatever its sender says."""

Scalar = TypeVar("Scalar", np.uint8, np.float32)


class PeerGone(Exception):
    """The other end closed the socket."""


class Block(msgspec.Struct, frozen=True, array_like=True):
    """An array on its way: shape, and the values in C order."""

    shape: tuple[int, ...]
    values: bytearray


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """What became of a medium: the fields of Decoded, or a reason and a detail."""

    reason: str = ""
    detail: str = ""
    modality: Modality | None = None
    text: str | None = None
    image: Block | None = None
    sound: Block | None = None
    frames: Block | None = None


def pack(decoded: Decoded) -> Reply:
    """The reply that carries a decoded medium."""
    return Reply(
        modality=decoded.modality,
        text=decoded.text,
        image=_block(decoded.image),
        sound=_block(decoded.sound),
        frames=_block(decoded.frames),
    )


def unpack(reply: Reply) -> Decoded | MediumError:
    """The decoded medium of a reply, its arrays writable, or why there is none. Raises ValueError."""
    if reply.modality is None:
        if reply.reason not in REASONS:
            raise ValueError("neither a medium nor a reason")
        return MediumError(reply.reason, reply.detail)
    return Decoded(
        modality=reply.modality,
        text=reply.text,
        image=_array(reply.image, np.uint8),
        sound=_array(reply.sound, np.float32),
        frames=_array(reply.frames, np.uint8),
    )


def _block(array: NDArray[np.uint8] | NDArray[np.float32] | None) -> Block | None:
    return None if array is None else Block(array.shape, bytearray(array.tobytes()))


def _array(block: Block | None, kind: type[Scalar]) -> NDArray[Scalar] | None:
    return None if block is None else np.frombuffer(block.values, dtype=kind).reshape(block.shape)


def send(link: socket.socket, payload: bytes, deadline: float | None = None) -> None:
    """Sends one frame. Raises PeerGone, and TimeoutError at the deadline (of time.monotonic)."""
    try:
        for part in (LENGTH.pack(len(payload)), payload):
            link.settimeout(_left(deadline))
            link.sendall(part)
    except OSError as error:
        raise _kind(error) from error


def receive(link: socket.socket, deadline: float | None = None) -> bytearray:
    """Receives one frame. Raises PeerGone, and TimeoutError at the deadline (of time.monotonic)."""
    (length,) = LENGTH.unpack(_exactly(link, LENGTH.size, deadline))
    if length > LONGEST:
        raise PeerGone(f"a frame of {length} bytes")
    return _exactly(link, length, deadline)


def _exactly(link: socket.socket, count: int, deadline: float | None) -> bytearray:
    content = bytearray(count)
    view = memoryview(content)
    try:
        while view:
            link.settimeout(_left(deadline))
            got = link.recv_into(view, min(len(view), CHUNK))
            if not got:
                raise PeerGone("closed")
            view = view[got:]
    except OSError as error:
        raise _kind(error) from error
    return content


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("out of time")
    return left


def _kind(error: OSError) -> Exception:
    return error if isinstance(error, TimeoutError) else PeerGone(str(error))
