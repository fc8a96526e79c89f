"""One failing medium fails alone: a batch that its encoder fails on is halved until it is found which one.

What is wrong with the encoder itself must not pass for a stream of bad media: before any is blamed, samples
that every encoder can take are tried.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch

from encoders.errors import EncodersError, MediumError
from encoders.observer import Observer

SampleT = TypeVar("SampleT")
MadeT = TypeVar("MadeT")

FAILED, NO_MEMORY = "encoder_failed", "out_of_memory"
LONG_ROW = 100
"""So many media that fail one after the other are hardly all bad: the encoder is judged more strictly."""
SAY_SECONDS = 60.0
NO_MEMORY_WORDS = ("out of memory", "alloc_failed", "failed to allocate")

_log = logging.getLogger(__name__)


class Isolated(Generic[SampleT, MadeT]):
    """An encoder or describer that does not fail for one sample's sake.

    `run` makes one result per sample, some of them errors, or raises for the whole batch. It counts as broken
    where it makes nothing of any canary; after LONG_ROW failures without a success between, where one fails.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[SampleT]], Sequence[MadeT | MediumError]],
        canaries: Sequence[SampleT],
        observer: Observer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._run = run
        self._canaries = canaries
        self._observer = observer
        self._clock = clock
        self._in_a_row = 0
        self._unsaid = 0
        self._says_at = float("-inf")

    def __call__(self, samples: Sequence[SampleT]) -> list[MadeT | MediumError]:
        """What became of each sample, in their order. Raises EncodersError where the encoder is broken."""
        first = self._attempt(samples)
        if isinstance(first, list) and not any(isinstance(one, MediumError) for one in first):
            self._in_a_row = 0
            return first
        self._check()
        made = first if isinstance(first, list) else self._apart(samples)
        self._note(made)
        return made

    def _apart(self, samples: Sequence[SampleT]) -> list[MadeT | MediumError]:
        """The results of samples that fail together."""
        if len(samples) == 1:
            # Once more: what may pass, such as a device in trouble for a moment, is no medium's fault.
            again = self._attempt(samples)
            return again if isinstance(again, list) else [again]
        middle = len(samples) // 2
        made: list[MadeT | MediumError] = []
        for half in (samples[:middle], samples[middle:]):
            found = self._attempt(half)
            made.extend(found if isinstance(found, list) else self._apart(half))
        return made

    def _attempt(self, samples: Sequence[SampleT]) -> list[MadeT | MediumError] | MediumError:
        try:
            return list(self._run(samples))
        except Exception as error:
            _log.debug("%s failed on %d media", self._name, len(samples), exc_info=True)
            failure = _failure(error)
        # Outside of the handler, where nothing of what the failed call had in hand is held any longer.
        if failure.reason == NO_MEMORY and torch.cuda.is_available():
            torch.cuda.empty_cache()
        return failure

    def _check(self) -> None:
        """Raises EncodersError where the canaries say that the encoder is broken."""
        errors: list[MediumError] = []
        for canary in self._canaries:
            found = self._attempt([canary])
            made = found if isinstance(found, MediumError) else found[0]
            if isinstance(made, MediumError):
                errors.append(made)
        if errors and (len(errors) == len(self._canaries) or self._in_a_row >= LONG_ROW):
            raise EncodersError(
                f"{self._name} is broken: it fails on a plain sample of its own as on what came "
                f"({errors[0].detail}); mend or replace it"
            )

    def _note(self, made: Sequence[MadeT | MediumError]) -> None:
        last: MediumError | None = None
        for one in made:
            if isinstance(one, MediumError):
                self._in_a_row += 1
                self._unsaid += 1
                self._observer.failed(self._name, one.reason)
                last = one
            else:
                self._in_a_row = 0
        if last is not None and self._clock() >= self._says_at:
            level = logging.ERROR if self._in_a_row >= LONG_ROW else logging.WARNING
            _log.log(
                level, "%s failed on %d media, which are masked; by now %d in a row; the last: %s",
                self._name, self._unsaid, self._in_a_row, last.detail,
            )  # fmt: skip
            self._says_at, self._unsaid = self._clock() + SAY_SECONDS, 0


def _failure(error: Exception) -> MediumError:
    if isinstance(error, MediumError):
        return error
    words = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    short = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        each in words.lower() for each in NO_MEMORY_WORDS
    )
    return MediumError(NO_MEMORY if short else FAILED, words)
