"""The parent's side of one decoding process."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

import encoders
from encoders.base import Medium
from encoders.errors import EncodersError, MediumError
from encoders.media.decode_child import READY
from encoders.media.decoded import Decoded
from encoders.media.frames import PeerGone, Reply, receive, send, unpack
from encoders.settings import EncoderSettings

CHILD_COMMAND = (sys.executable, "-P", "-m", "encoders.media.decode_child")
START_SECONDS = 60.0
END_SECONDS = 5.0

KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "TMPDIR",
    "SYSTEMROOT",
)
"""What a child inherits of the environment. Passwords live there too, so the rest stays behind."""

ROOT = Path(encoders.__file__).resolve().parent.parent


class Child:
    """A decoding process, ready when the constructor returns.

    Raises EncodersError, with the last words of the process, when it does not start within a minute.
    """

    def __init__(self, settings: EncoderSettings, command: Sequence[str] = CHILD_COMMAND) -> None:
        self._seconds = settings.decode_timeout_seconds
        with tempfile.TemporaryFile() as errors:
            self._link, other = socket.socketpair()
            with other:
                self._process = _started(command, other, errors)
            try:
                self._greet(settings)
            except (PeerGone, TimeoutError) as error:
                self.close()
                errors.seek(0)
                words = errors.read().decode(errors="replace").strip()[-500:]
                raise EncodersError(f"a decoding process does not start: {error}: {words}") from error

    def _greet(self, settings: EncoderSettings) -> None:
        deadline = time.monotonic() + START_SECONDS
        send(self._link, msgspec.msgpack.encode(settings), deadline)
        if receive(self._link, deadline) != READY:
            raise PeerGone("unexpected answer")

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, medium: Medium) -> Decoded | MediumError:
        """What became of one medium. After PeerGone or TimeoutError this child is of no more use."""
        deadline = time.monotonic() + self._seconds
        send(self._link, msgspec.msgpack.encode(medium), deadline)
        try:
            return unpack(msgspec.msgpack.decode(receive(self._link, deadline), type=Reply))
        except (msgspec.MsgspecError, ValueError) as error:
            # A child whose decoder was taken over may answer anything.
            raise PeerGone(f"no valid answer: {error}") from error

    def close(self) -> int | None:
        """Ends the process at once; gives its exit status, None where it cannot be had in time."""
        # Wakes a thread that waits for an answer.
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._link.close()
        return self._process.poll()


def _started(command: Sequence[str], link: socket.socket, errors: IO[bytes]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=link.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env=_environment(),
        # The terminal's interrupt goes to the parent, which ends its children itself.
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    # A child has one core; the thread pools of numerical libraries would only take memory.
    return kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
