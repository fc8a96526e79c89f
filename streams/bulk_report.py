"""What became of a catalogue that was encoded in bulk, for people and for programs."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from encoders.base import MODALITIES, Encoded
from streams.bulk_encoding import Failure, Window, modality_of
from streams.encode.media import EncodedMedia, Wanted

NAMED = 20
"""Failures that are told one by one, of many."""
NEARLY_FULL = 0.9
"""Share of the folder's bound from which on the oldest vectors may be dropped."""


class Share(msgspec.Struct):
    """Media of one modality, each counted once a window."""

    at_hand: int = 0
    """Encoded before, by an earlier run or as another item's."""
    encoded: int = 0
    failed: int = 0
    encoder_seconds: float = 0.0

    @property
    def media(self) -> int:
        return self.at_hand + self.encoded + self.failed

    @property
    def rate(self) -> float:
        """Media a second of the encoder's own time; 0 where it had nothing to do."""
        return self.encoded / self.encoder_seconds if self.encoder_seconds else 0.0


class Report(msgspec.Struct):
    """Grows window by window. `failures` counts items that could not be read, and faults of media."""

    items: int = 0
    bad: int = 0
    skipped: int = 0
    failures: int = 0
    seconds: float = 0.0
    vector_bytes: int = 0
    """Of the whole catalogue, those at hand included."""
    media: dict[str, Share] = {}
    reasons: dict[str, int] = {}
    named: list[str] = []

    def add(self, window: Window, media: EncodedMedia) -> None:
        self.items += len(window.items)
        self.bad += len(window.bad)
        self.skipped += window.skipped
        for wanted, encoded in media.encoded.items():
            self._count(wanted, encoded)

    def fail(self, failure: Failure) -> None:
        self.failures += 1
        reason = f"{failure.modality} {failure.reason}".strip() or "bad line"
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if len(self.named) < NAMED:
            self.named.append(_line(failure))

    def finish(self, seconds: float, encoder_seconds: dict[str, float], vector_bytes: int) -> None:
        self.seconds = round(seconds, 3)
        self.vector_bytes = vector_bytes
        for modality, each in encoder_seconds.items():
            # A video's sound goes through the encoder of sounds, which then has media of its own or none.
            self.media.setdefault(modality, Share()).encoder_seconds = round(each, 3)

    def lines(self) -> Iterator[str]:
        """The report for people."""
        pace = self.items / self.seconds if self.seconds else 0.0
        yield (
            f"{self.items:,} items in {_duration(self.seconds)} ({pace:,.1f} a second), "
            f"{self.bad:,} bad lines, {self.skipped:,} files skipped"
        )
        yield f"{'':<8}{'at hand':>10}{'encoded':>10}{'failed':>10}{'encoder s':>12}{'media/s':>10}"
        for modality in MODALITIES:
            if modality in self.media:
                share = self.media[modality]
                yield (
                    f"{modality:<8}{share.at_hand:>10,}{share.encoded:>10,}{share.failed:>10,}"
                    f"{share.encoder_seconds:>12,.1f}{share.rate:>10,.1f}"
                )

    def complaints(self, most_bytes: int) -> Iterator[str]:
        """What went wrong, by its place, and in sum where there is more of it."""
        yield from self.named
        if self.failures > len(self.named):
            yield f"and {self.failures - len(self.named):,} more; --failures FILE writes all of them"
            counts = Counter(self.reasons).most_common()
            yield "in all: " + ", ".join(f"{count:,} {reason}" for reason, count in counts)
        if self.vector_bytes > NEARLY_FULL * most_bytes:
            yield (
                f"the vectors weigh {self.vector_bytes:,} bytes and encoders.cache_bytes is {most_bytes:,}: "
                "the oldest are dropped; make it larger and run this again"
            )

    def _count(self, wanted: Wanted, encoded: Encoded) -> None:
        share = self.media.setdefault(modality_of(wanted, encoded).value, Share())
        if not encoded.vectors:
            share.failed += 1
        elif encoded.cached:
            share.at_hand += 1
        else:
            share.encoded += 1


def _line(failure: Failure) -> str:
    if not failure.item_id:
        return f"{failure.where}: {failure.problem}"
    reference = f" ({failure.reference[:200]})" if failure.reference else ""
    what = f"{failure.modality} {failure.reason}: {failure.problem}"
    return f"{failure.where}: {failure.item_id}: {what}{reference}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"
