"""Errors of the encoders.

EncodersError
├── MediumError          one medium cannot be used; `reason` is one of REASONS
├── DecoderCrash         a record ended a decoding process several times
├── LanguageError        a language model wrote nothing usable; `reason` is one of LANGUAGE_REASONS
└── ArtifactError        a model or alignment file is missing, broken or of another version
"""

REASONS = (
    "missing",
    "refused",
    "broken",
    "empty",
    "too_large",
    "too_slow",
    "unsupported",
    "unknown_item",
    "other_encoders",
    "checksum",
    "encoder_failed",
    "out_of_memory",
)
"""Why a modality is masked, as written to packs and metrics."""

LANGUAGE_REASONS = (
    "unreachable",
    "timeout",
    "busy",
    "server",
    "refused",
    "malformed",
    "too_large",
    "language",
)
"""Why a language model wrote nothing, as counted in the metrics."""


class EncodersError(Exception):
    """Root of the errors that `encoders` raises."""


class MediumError(EncodersError):
    """One medium cannot be used. `reason` is one of REASONS, `detail` says what was seen."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class DecoderCrash(EncodersError):
    """Decoding a medium ended its process as often as the settings allow."""


class LanguageError(EncodersError):
    """A language model wrote nothing usable. `reason` is one of LANGUAGE_REASONS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ArtifactError(EncodersError):
    """A model or alignment artifact cannot be loaded."""
