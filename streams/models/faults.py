"""Ends the process at a named point of a model's passage: tests hold that it does no harm at any."""

import os
import signal

VARIABLE = "PENCHANT_MODEL_FAULT"

COMMAND_POINTS = ("opened", "level", "ready", "moved")
"""Of the command: partitions are open; states are level; workers are ready; the pointer is moved."""
WORKER_POINTS = ("prepared", "turning", "fenced", "followed", "reached", "told")
"""Of a worker: the model is at hand; it is about to turn; a partition is fenced under the new model; the
former one has stopped; the partition is where that was; the board knows."""


def reached(point: str) -> None:
    """What runs in operation does nothing here."""
    if os.environ.get(VARIABLE) == point:
        os.kill(os.getpid(), signal.SIGKILL)
