"""Transactions that are aborted are done again, after a pause, and not for ever."""

import logging
import time

from streams.encode.sink import TransactionAborted
from streams.errors import EngineError

MAX_ABORTS = 100
"""So many aborted transactions in a row end the worker: waiting does not mend what is wrong."""
ABORT_PAUSES = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds after the first, second and further aborts in a row; the last one holds for all that follow."""

_log = logging.getLogger(__name__)


class Aborts:
    """Those in a row."""

    def __init__(self) -> None:
        self._count = 0

    def end(self) -> None:
        """A transaction was committed."""
        self._count = 0

    def pause(self, error: TransactionAborted) -> None:
        """One was aborted, and is to be done again now. Raises EngineError where it is one too many."""
        self._count += 1
        if self._count >= MAX_ABORTS:
            raise EngineError(f"{self._count} transactions in a row were aborted: {error}") from error
        _log.info("the batch is read again: %s", error)
        time.sleep(ABORT_PAUSES[min(self._count, len(ABORT_PAUSES)) - 1])
