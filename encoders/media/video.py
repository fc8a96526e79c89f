"""Bytes of a video to key frames and sound track."""

from dataclasses import dataclass, field
from typing import Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from encoders.errors import MediumError
from encoders.media.container import opened
from encoders.media.decoded import FRAME_SIDE
from encoders.media.keyframes import WAYS
from encoders.media.sound import Samples, Track, check_track
from encoders.settings import EncoderSettings

Frames = NDArray[np.uint8]

LOOKS_PER_SECOND = 4.0
"""How often a clip is looked at for a change."""

GREY_SIZE = (64, 36)
DEAREST_PIXELS = 700_000_000
"""A clip with more pixels than this to decode (some 13 s of 1080p) is looked at by its intra frames alone."""

FREE_RATE = 25.0


@dataclass
class Looks:
    """Pictures of a clip, in their order: small grey ones to compare, larger ones to keep."""

    size: tuple[int, int] = (0, 0)
    """Width and height of what is kept, before it is turned."""
    turns: int = 0
    """Quarters of a circle, counter-clockwise, that the clip is turned by to be seen as it is meant."""
    greys: list[Frames] = field(default_factory=list)
    pictures: list[Frames] = field(default_factory=list)
    next_second: float = 0.0
    last_second: float = 0.0
    failures: int = 0

    def take(self, frame: Any, second: float) -> None:
        """Keeps the frame if it is time to look again."""
        self.last_second = second
        if second < self.next_second and self.pictures:
            return
        self.next_second = max(second, self.next_second) + 1.0 / LOOKS_PER_SECOND
        grey_width, grey_height = GREY_SIZE
        self.greys.append(frame.reformat(width=grey_width, height=grey_height, format="gray").to_ndarray())
        # Size and turn of the first picture hold for all: a stream may change them on the way.
        if not self.pictures:
            self.size = _size(frame)
            # Phones write what their sensor saw, and beside it how the phone was held.
            self.turns = round(frame.rotation / 90) % 4
        width, height = self.size
        picture = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        self.pictures.append(np.ascontiguousarray(np.rot90(picture, self.turns)))


def decode_video(content: bytes, settings: EncoderSettings) -> tuple[Frames, Samples | None]:
    """Key frames uint8 [k, h, w, 3] RGB, the longest side at most 320, and the sound track or None.

    Reads the first `max_video_seconds`. Raises MediumError: "empty", "broken", "too_large" for more than
    `max_pixels` a frame, "unsupported" where there is no picture track or no decoder for it.
    """
    with opened(content) as container:
        picture = _picture_stream(container)
        _check(picture, settings.max_pixels)
        _prepare(picture, settings)
        looks, sound = _read(container, picture, settings)
    if not looks.pictures:
        raise MediumError("broken" if looks.failures else "empty", "no frame of the video decodes")
    kept = WAYS[settings.key_frames](np.stack(looks.greys), settings.max_video_frames)
    return np.stack([looks.pictures[index] for index in kept]), sound


def _size(frame: Any) -> tuple[int, int]:
    scale = min(1.0, FRAME_SIDE / max(frame.width, frame.height))
    return max(1, round(frame.width * scale)), max(1, round(frame.height * scale))


def has_pictures(container: Any) -> bool:
    """Whether there is a video track that is not the cover of a sound."""
    return any(not _is_cover(stream) for stream in container.streams.video)


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _picture_stream(container: Any) -> Any:
    for stream in container.streams.video:
        if not _is_cover(stream):
            return stream
    raise MediumError("unsupported", "no picture track in it")


def _check(stream: Any, max_pixels: int) -> None:
    context = stream.codec_context
    if context is None:
        raise MediumError("unsupported", "no decoder for its picture track")
    if context.width * context.height > max_pixels:
        raise MediumError("too_large", f"{context.width} x {context.height} pixels, {max_pixels} allowed")


def _prepare(stream: Any, settings: EncoderSettings) -> None:
    context = stream.codec_context
    context.thread_count = 1
    # The decoder itself refuses frames that turn out larger than their header said.
    context.options = {"max_pixels": str(settings.max_pixels)}
    rate = float(stream.average_rate or FREE_RATE)
    seconds = settings.max_video_seconds
    if stream.duration and stream.time_base:
        seconds = min(seconds, float(stream.duration * stream.time_base))
    if context.width * context.height * rate * seconds > DEAREST_PIXELS:
        context.skip_frame = "NONKEY"


def _read(container: Any, picture: Any, settings: EncoderSettings) -> tuple[Looks, Samples | None]:
    looks = Looks()
    tracks = _sound_track(container, settings)
    streams = [picture, *tracks]
    for packet in container.demux(streams):
        if packet.stream is picture:
            _look(packet, looks, settings.max_video_seconds)
        else:
            tracks[packet.stream].take(packet)
        if looks.last_second >= settings.max_video_seconds:
            break
    sounds = [track.finished() for track in tracks.values()]
    sound = sounds[0] if sounds else None
    return looks, sound if sound is not None and sound.size else None


def _sound_track(container: Any, settings: EncoderSettings) -> dict[Any, Track]:
    for stream in container.streams.audio:
        try:
            check_track(stream)
        except MediumError:
            continue
        return {stream: Track(min(settings.max_audio_seconds, settings.max_video_seconds))}
    return {}


def _look(packet: Any, looks: Looks, max_seconds: float) -> None:
    try:
        for frame in packet.decode():
            second = float(frame.time) if frame.time is not None else looks.last_second + 1.0 / FREE_RATE
            if second >= max_seconds:
                looks.last_second = second
                return
            looks.take(frame, second)
    except (av.error.FFmpegError, ValueError):
        looks.failures += 1
