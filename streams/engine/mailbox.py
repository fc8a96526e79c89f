"""What other threads ask of one thread, in order, each with an answer to come."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeVar

AnswerT = TypeVar("AnswerT")


class Mailbox:
    """Any thread may ask. The thread that serves calls `serve` now and then, and `close` when it ends."""

    def __init__(self) -> None:
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        """So that nothing is put behind the last look into the box."""
        self._closed = False

    def ask(self, action: Callable[[], AnswerT]) -> "Future[AnswerT]":
        """Done when the action was; where the box is closed, it is done at once, by the caller's thread."""
        answer: Future[AnswerT] = Future()

        def command() -> None:
            try:
                answer.set_result(action())
            except BaseException as error:
                answer.set_exception(error)
                raise

        with self._lock:
            self._commands.put(command)
            closed = self._closed
        if closed:
            self.serve()
        return answer

    def serve(self) -> None:
        """Do all that was asked; what an action raises is raised here as well as told to who asked."""
        while True:
            try:
                command = self._commands.get_nowait()
            except Empty:
                return
            command()

    def close(self) -> None:
        """From now on nobody serves. What was asked before is done by the next `serve`."""
        with self._lock:
            self._closed = True
