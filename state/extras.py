"""Packages that not every installation has."""

import importlib
from types import ModuleType

from state.errors import LearningError


def package(name: str, lacking: str) -> ModuleType:
    """The package or module of this name. Raises LearningError, which says what is `lacking`, without it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise LearningError(lacking) from error
