"""Media made on the fly for the tests of fetching and decoding."""

import io
import struct
import wave

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def picture(width: int = 64, height: int = 48) -> Image.Image:
    """A red to blue ramp with a green ramp across it."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(255, 0, width).astype(np.uint8)
    pixels[..., 1] = np.linspace(0, 200, height).astype(np.uint8)[:, None]
    pixels[..., 2] = np.linspace(0, 255, width).astype(np.uint8)
    return Image.fromarray(pixels)


def image_bytes(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def tone(seconds: float, rate: int = 44100, hertz: float = 440.0, level: float = 0.5) -> NDArray[np.float32]:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def wav_bytes(samples: NDArray[np.float32], rate: int = 44100) -> bytes:
    """16-bit WAV of samples [n] or [n, channels]."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return out.getvalue()


def sound_bytes(samples: NDArray[np.float32], container: str, codec: str, rate: int = 44100) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        _write_sound(file, stream, samples, rate)
    return out.getvalue()


def scenes(
    colours: list[tuple[int, int, int]], frames_each: int, size: tuple[int, int] = (160, 96)
) -> list[NDArray[np.uint8]]:
    """A cut between flat colours, each with a dark bar, so that it is not quite flat."""
    pictures = []
    for colour in colours:
        pixels = np.full((size[1], size[0], 3), colour, np.uint8)
        pixels[:, : size[0] // 8] //= 2
        pictures += [pixels] * frames_each
    return pictures


def video_bytes(
    pictures: list[NDArray[np.uint8]],
    rate: int = 25,
    samples: NDArray[np.float32] | None = None,
    container: str = "mp4",
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, bit_rate=1_000_000)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        sound = None if samples is None else file.add_stream("aac", rate=44100, layout="mono")
        for each in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(each, format="rgb24")))
        file.mux(stream.encode(None))
        if samples is not None:
            _write_sound(file, sound, samples, 44100)
    return out.getvalue()


def turned(clip: bytes, quarters: int) -> bytes:
    """An MP4 whose picture track is to be shown turned clockwise by so many quarters of a circle."""
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    one, whole = 1 << 16, 1 << 30
    matrix = struct.pack(">9i", cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, whole)
    # The matrix lies 40 bytes behind the name of the track's header (ISO 14496-12, version 0).
    start = clip.index(b"tkhd") + 44
    return clip[:start] + matrix + clip[start + len(matrix) :]


def _write_sound(file, stream, samples, rate):
    resampler = av.AudioResampler(
        format=stream.format, layout="mono", rate=rate, frame_size=stream.frame_size or 1024
    )
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate = rate
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        file.mux(stream.encode(part))
    file.mux(stream.encode(None))
