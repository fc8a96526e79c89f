"""Interactions of the file or folder that a command was given by --from."""

import logging
from pathlib import Path

from state.learning.dataset import Dataset
from state.learning.reading import ReadingOptions, read_dataset

_log = logging.getLogger(__name__)


def given_dataset(source: Path, options: ReadingOptions | None = None) -> Dataset:
    """As `read_dataset`, and warns of fields that nothing reads: a mistyped one would never be missed."""
    dataset = read_dataset(source, options)
    if dataset.unknown:
        _log.warning("fields that nothing reads: %s", dataset.unknown)
    return dataset
