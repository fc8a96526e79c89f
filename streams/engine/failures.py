"""Failures of the engine's thread, as errors that hosts understand."""

from typing import NoReturn

from state.errors import StateError
from streams.errors import EngineError, PenchantError


def raise_it(error: Exception) -> NoReturn:
    """For a thread that is to fail with what another one met."""
    raise error


def converted(error: BaseException) -> EngineError:
    """The error itself where it is the engine's own."""
    if isinstance(error, EngineError):
        return error
    if isinstance(error, StateError | PenchantError):
        return EngineError(str(error))
    return EngineError(f"{type(error).__name__}: {error}")
