"""Bytes of a sound to samples."""

from typing import Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from encoders.errors import MediumError
from encoders.media.container import opened
from encoders.media.decoded import SOUND_RATE

Samples = NDArray[np.float32]

SLOWEST_RATE, FASTEST_RATE = 1_000, 768_000
MOST_CHANNELS = 64


def decode_sound(content: bytes, max_seconds: float) -> Samples:
    """float32 [n], mono at SOUND_RATE, within -1 to 1, the first `max_seconds` at most.

    Broken packets are left out as long as others decode. Raises MediumError: "empty" for no bytes or no
    samples, "broken", "unsupported" where there is no sound track or no decoder for it.
    """
    with opened(content) as container:
        if not container.streams.audio:
            raise MediumError("unsupported", "no sound track in it")
        samples = read_track(container, max_seconds)
    if samples is None:
        raise MediumError("broken", "no packet of the sound track decodes")
    if not samples.size:
        raise MediumError("empty", "the sound has no samples")
    return samples


def read_track(container: Any, max_seconds: float) -> Samples | None:
    """The first sound track from the container's present position: None where all of it is broken."""
    stream = container.streams.audio[0]
    check_track(stream)
    return Track(max_seconds).read(container, stream)


def check_track(stream: Any) -> None:
    """Raises MediumError("unsupported") for a track that no one could listen to."""
    context = stream.codec_context
    if context is None:
        raise MediumError("unsupported", "no decoder for its sound track")
    if not SLOWEST_RATE <= context.rate <= FASTEST_RATE or not 1 <= context.channels <= MOST_CHANNELS:
        raise MediumError("unsupported", f"{context.rate} samples per second, {context.channels} channels")


class Track:
    """Collects the samples of one sound track, up to a limit in seconds."""

    def __init__(self, max_seconds: float) -> None:
        self._limit = int(max_seconds * SOUND_RATE)
        # The channels are averaged here: the resampler's own way to mono lets loud stereo clip. Interleaved,
        # since reading a frame of 8 planes or more ends the process.
        self._resampler = av.AudioResampler(format="flt", rate=SOUND_RATE)
        self._chunks: list[Samples] = []
        self._count = 0
        self._failures = 0

    @property
    def full(self) -> bool:
        return self._count >= self._limit

    def read(self, container: Any, stream: Any) -> Samples | None:
        for packet in container.demux(stream):
            self.take(packet)
            if self.full:
                break
        return self.finished()

    def take(self, packet: Any) -> None:
        """Decodes one packet; a broken one is counted and left out."""
        try:
            for frame in packet.decode():
                self._keep(self._resampler.resample(frame))
        except (av.error.FFmpegError, ValueError):
            self._failures += 1

    def finished(self) -> Samples | None:
        """float32 [n], empty for no sound; None where packets failed and none decoded."""
        if self._count:
            self._keep(self._resampler.resample(None))
        elif self._failures:
            return None
        joined = np.concatenate([np.zeros(0, np.float32), *self._chunks])[: self._limit]
        finite: Samples = np.nan_to_num(joined, nan=0.0, posinf=1.0, neginf=-1.0)
        return finite.clip(-1.0, 1.0)

    def _keep(self, frames: list[Any]) -> None:
        for frame in frames:
            channels = frame.layout.nb_channels
            samples = frame.to_ndarray().reshape(-1, channels).mean(axis=1, dtype=np.float32)
            self._chunks.append(samples)
            self._count += samples.size
