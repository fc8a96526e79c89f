"""Short clips with sound, rendered from pictures: a slow pan over each picture in turn."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = 160
RATE = 10
SOUND_RATE = 44_100
_FRAMES_EACH = 10


def render(pictures: Sequence[Path], sound: Path | None, target: Path) -> None:
    """Write an MP4 of about a second for each picture, with the sound as its track."""
    partial = target.with_suffix(".partial.mp4")
    with av.open(str(partial), "w") as container:
        video = container.add_stream("mpeg4", rate=RATE)
        video.width = video.height = SIZE
        video.pix_fmt = "yuv420p"
        track = container.add_stream("aac", rate=SOUND_RATE, layout="mono") if sound else None
        for picture in pictures:
            for frame in _pan(picture):
                for packet in video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                    container.mux(packet)
        for packet in video.encode():
            container.mux(packet)
        if track is not None and sound is not None:
            seconds = len(pictures) * _FRAMES_EACH / RATE
            for packet in _encode_sound(track, _samples(sound, seconds)):
                container.mux(packet)
    partial.rename(target)


def _pan(path: Path) -> list[NDArray[np.uint8]]:
    with Image.open(path) as opened:
        picture = opened.convert("RGBA")
    board = Image.new("RGBA", picture.size, "white")
    board.alpha_composite(picture)
    large = np.asarray(board.convert("RGB").resize((SIZE + 2 * _FRAMES_EACH, SIZE)))
    return [np.ascontiguousarray(large[:, 2 * step : 2 * step + SIZE]) for step in range(_FRAMES_EACH)]


def _samples(path: Path, seconds: float) -> NDArray[np.float32]:
    resampler = av.AudioResampler("fltp", "mono", SOUND_RATE)
    wanted = int(seconds * SOUND_RATE)
    parts: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
            if sum(map(len, parts)) >= wanted:
                break
    samples = np.concatenate(parts)[:wanted]
    return np.pad(samples, (0, wanted - len(samples)))


def _encode_sound(track: av.AudioStream, samples: NDArray[np.float32]) -> "list[av.Packet[av.AudioStream]]":
    packets: list[av.Packet[av.AudioStream]] = []
    for start in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
        frame.sample_rate = SOUND_RATE
        frame.pts = start
        packets += track.encode(frame)
    return packets + track.encode()
