"""Errors of the interest state.

StateError
├── CodecError      state bytes that no known codec version reads
├── ModelError      a model artifact is missing, broken or does not fit the vectors
├── LearningError   interactions cannot be read, or do not suffice to learn from or to measure on
│   └── Diverged    a training went astray
└── StoreError      a store's files cannot be used
"""

import msgspec

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What decoding the bytes of others raises: of text that is no UTF-8 msgspec raises Python's own error."""


class StateError(Exception):
    """Root of the errors that `state` raises."""


class CodecError(StateError):
    """State bytes are of an unknown version or length."""


class ModelError(StateError):
    """A model artifact cannot be loaded or does not fit."""


class StoreError(StateError):
    """The files of a store cannot be opened, read or written."""


class LearningError(StateError):
    """Interactions cannot be read, or there are too few of them to learn from or to measure on."""


class Diverged(LearningError):
    """A training's numbers are not finite any more."""
