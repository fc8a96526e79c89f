"""Who is told of what goes on among the encoders, so that metrics can be made of it."""

from encoders.base import Modality


class Observer:
    """Takes note of nothing; whoever wants to know overrides what it is about. Any thread may call it."""

    def encoded(self, modality: Modality, media: int, seconds: float) -> None:
        """A batch of so many media took its encoder so long."""

    def waiting(self, media: int) -> None:
        """So many media are to be decoded or encoded still."""

    def decoder_ended(self, cause: str) -> None:
        """A decoding process was ended for being "too_slow", or "crashed"; another takes its place."""

    def failed(self, encoder: str, reason: str) -> None:
        """One medium failed in an encoder or describer; the reason is one of `errors.REASONS`."""
