"""Writes beside the loop, so that the worker keeps its place in the group however slow a model is."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from encoders.errors import LanguageError
from encoders.language.base import Description, Request, Writer

Answers = list[Description | LanguageError]

_log = logging.getLogger(__name__)


class _Job:
    """A thread with one batch. It may be left behind, and then ends whenever its writer returns."""

    def __init__(self, writer: Writer, requests: Sequence[Request]) -> None:
        self.requests = requests
        self.began = time.monotonic()
        self.ended = threading.Event()
        self.answers: Answers = []
        self._writer = writer
        threading.Thread(target=self._run, name="scribe", daemon=True).start()

    def _run(self) -> None:
        try:
            answers = self._writer.write(self.requests)
            if len(answers) != len(self.requests):
                raise LanguageError("malformed", f"{len(answers)} answers to {len(self.requests)} requests")
            self.answers = answers
        except Exception as error:
            _log.warning("%s failed: %s", self._writer.name, error)
            cause = error if isinstance(error, LanguageError) else LanguageError("server", repr(error))
            self.answers = [cause for _ in self.requests]
        finally:
            self.ended.set()


class Scribe:
    """One batch at a time. A writer that does not come back within `seconds` is left alone until it does;
    meanwhile `substitute`, which must be quick, writes in its place."""

    def __init__(
        self,
        writer: Writer,
        substitute: Writer,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._substitute = substitute
        self._seconds = seconds
        self._clock = clock
        self._job: _Job | None = None
        self._began = 0.0
        self._lost: _Job | None = None

    @property
    def name(self) -> str:
        """Of the writer, with its version: texts of another one are other texts."""
        return f"{self._writer.name} {self._writer.version}"

    @property
    def busy(self) -> bool:
        return self._job is not None

    @property
    def hangs(self) -> bool:
        """Whether the writer has not come back for too long."""
        if self._lost is not None and self._lost.ended.is_set():
            _log.info("%s has come back", self._writer.name)
            self._lost = None
        return self._lost is not None

    def submit(self, requests: Sequence[Request]) -> None:
        writer = self._substitute if self.hangs else self._writer
        self._job, self._began = _Job(writer, requests), self._clock()

    def poll(self, seconds: float = 0.0) -> Answers | None:
        """The answers, once, where they are there within so long."""
        job = self._job
        if job is None:
            return None
        if job.ended.wait(seconds):
            self._job = None
            return job.answers
        if self._clock() - self._began > self._seconds and not self.hangs:
            _log.error(
                "%s did not answer within %g s (describe.batch_seconds): %s writes until it does",
                self._writer.name,
                self._seconds,
                self._substitute.name,
            )
            self._lost = job
            self.submit(job.requests)
        return None
