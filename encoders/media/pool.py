"""Decodes untrusted media in child processes, each replaced when it crashes or takes too long."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, LifoQueue
from threading import Lock

from encoders.base import Medium, Modality
from encoders.errors import DecoderCrash, EncodersError, MediumError
from encoders.media.child import CHILD_COMMAND, Child
from encoders.media.decode import decode_medium, modality_of
from encoders.media.decoding import Decoding, Outcome
from encoders.media.frames import PeerGone
from encoders.observer import Observer
from encoders.settings import EncoderSettings

LOGGER = logging.getLogger(__name__)

MOST_PROCESSES = 8
MOST_CRASHES = 3
"""How often a medium may end its process before it is given up."""


class DecodePool:
    """As many child processes as the settings say, started when first needed. Any thread may call it.

    A medium that takes longer than `decode_timeout_seconds` is "too_slow"; one that ends its process three
    times is a DecoderCrash. Neither touches the others of its batch. Text is decoded here: it runs no
    foreign code.
    """

    def __init__(
        self,
        settings: EncoderSettings,
        command: Sequence[str] = CHILD_COMMAND,
        observer: Observer | None = None,
    ) -> None:
        self._settings = settings
        self._observer = observer or Observer()
        self._command = command
        self._threads = ThreadPoolExecutor(_processes(settings), thread_name_prefix="decode")
        self._idle: LifoQueue[Child] = LifoQueue()
        self._children: set[Child] = set()
        self._lock = Lock()
        self._closed = False

    def decode(self, media: Sequence[Medium]) -> list[Outcome]:
        """What became of each medium, in their order.

        Raises EncodersError when decoding processes do not start at all, or the pool is closed.
        """
        with self.decode_ahead(media, len(media)) as decoding:
            outcomes = dict(decoding)
        return [outcomes[place] for place in range(len(media))]

    def decode_ahead(self, media: Sequence[Medium], ahead: int) -> Decoding:
        """The same as they get done, so many ahead of who takes them; taking one raises as `decode` does."""
        if self._closed:
            raise EncodersError("the decode pool is closed")
        return Decoding(self._threads, self._decode, media, ahead)

    def close(self) -> None:
        """Ends the children at once; a decode under way fails. Closing twice is harmless."""
        with self._lock:
            self._closed = True
            children, self._children = self._children, set()
        for child in children:
            child.close()
        self._threads.shutdown(cancel_futures=True)

    def _decode(self, medium: Medium) -> Outcome:
        try:
            if modality_of(medium) is Modality.TEXT:
                return decode_medium(medium, self._settings)
            if not medium.content:
                return MediumError("empty", "the medium has no bytes")
        except MediumError as error:
            return error
        return self._decode_apart(medium)

    def _decode_apart(self, medium: Medium) -> Outcome:
        status: int | None = None
        for _ in range(MOST_CRASHES):
            child = self._child()
            try:
                outcome = child.ask(medium)
            except TimeoutError:
                self._drop(child)
                self._observer.decoder_ended("too_slow")
                return MediumError("too_slow", f"not decoded in {self._settings.decode_timeout_seconds} s")
            except PeerGone:
                status = self._drop(child)
                self._observer.decoder_ended("crashed")
                LOGGER.warning("a decoding process ended with status %s", status)
            else:
                self._idle.put(child)
                return outcome
        return DecoderCrash(
            f"decoding {medium.name or 'a medium'} ended its process {MOST_CRASHES} times, status {status}"
        )

    def _child(self) -> Child:
        try:
            return self._idle.get_nowait()
        except Empty:
            child = Child(self._settings, self._command)
        with self._lock:
            if not self._closed:
                self._children.add(child)
                return child
        child.close()
        raise EncodersError("the decode pool is closed")

    def _drop(self, child: Child) -> int | None:
        with self._lock:
            self._children.discard(child)
        return child.close()


def _processes(settings: EncoderSettings) -> int:
    """The other half of the cores is for the encoders, and for the worker itself."""
    return settings.decode_workers or max(1, min(MOST_PROCESSES, (os.cpu_count() or 1) // 2))
