"""Clips: odd codecs, cut, of one frame, of many, of none, too large, without pictures or sound."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from encoders.base import Modality
from tests.hostile.case import Case
from tests.unit.media_samples import image_bytes, picture, scenes, sound_bytes, tone, turned, video_bytes

CODECS = (
    ("mp4", "mpeg4"), ("matroska", "libx264"), ("webm", "libvpx"), ("webm", "libvpx-vp9"), ("avi", "mjpeg"),
    ("mpegts", "mpeg2video"), ("mpeg", "mpeg1video"), ("flv", "flv"), ("asf", "wmv2"), ("matroska", "ffv1"),
    ("avi", "rawvideo"), ("avi", "huffyuv"), ("mov", "prores"), ("avi", "msmpeg4v3"),
)  # fmt: skip
PIXELS = {"mjpeg": "yuvj420p", "prores": "yuv422p10le", "huffyuv": "yuv422p"}

NOTHING = "broken|unsupported|empty"


def cases() -> Iterator[Case]:
    yield from _codecs()
    yield from _odd_clips()
    yield from _no_clips()


def _clip(frames: int = 12, size: tuple[int, int] = (64, 48)) -> list[NDArray[np.uint8]]:
    return scenes([(200, 0, 0), (0, 0, 200)], frames // 2, size)


def _codecs() -> Iterator[Case]:
    for container, codec in CODECS:
        content = video_bytes(_clip(), container=container, codec=codec, pixels=PIXELS.get(codec, "yuv420p"))
        name = f"{codec} in {container}"
        yield Case(name, content, "encoded")
        yield Case(f"{name}, cut in half", content[: len(content) // 2], _half(container), Modality.VIDEO)
        yield Case(f"{name}, header alone", content[:48], NOTHING, Modality.VIDEO)


def _half(container: str) -> str:
    """An MP4's index lies at its end; of other containers the first half may be seen."""
    return "broken|unsupported" if container in ("mov", "mp4") else "encoded|broken|empty"


def _odd_clips() -> Iterator[Case]:
    red = (200, 0, 0)
    yield Case("one frame", video_bytes(scenes([red], 1, (64, 48))), "encoded")
    yield Case(
        "2 by 2 pixels", video_bytes(scenes([red], 4, (16, 2)), container="avi", codec="rawvideo"), "encoded"
    )
    yield Case(
        "1,500 frames at 500 a second", video_bytes(scenes([red], 1500, (16, 16)), rate=500), "encoded"
    )
    yield Case(
        "above the allowed pixels",
        video_bytes(scenes([red], 2, (2200, 2000)), container="avi", codec="mjpeg", pixels="yuvj420p"),
        "too_large",
    )
    yield Case("a clip with sound", video_bytes(_clip(), samples=tone(0.5)), "encoded")
    yield Case("a clip of a phone held upright", turned(video_bytes(_clip()), 1), "encoded")
    skewed = turned(video_bytes(_clip()), 0)
    start = skewed.index(b"tkhd") + 44
    noise = np.random.default_rng(7).bytes(36)
    yield Case("a clip turned by nonsense", skewed[:start] + noise + skewed[start + 36 :], "encoded")
    nothing = skewed[:start] + bytes(36) + skewed[start + 36 :]
    yield Case("a clip turned by nothing", nothing, "encoded")
    yield Case("a clip called jpg", video_bytes(_clip()), "encoded", called="x.jpg")
    yield Case("a clip said to be sound", video_bytes(_clip()), "unsupported", Modality.AUDIO)
    yield Case("a clip said to be an image", video_bytes(_clip()), "unsupported", Modality.IMAGE)
    yield Case("a long slow clip", video_bytes(scenes([red], 30, (32, 32)), rate=1), "encoded")
    damaged = bytearray(video_bytes(_clip(40), container="matroska", codec="libx264"))
    for place in range(600, len(damaged), 97):
        damaged[place] ^= 0x55
    yield Case("a damaged clip", bytes(damaged), "encoded", Modality.VIDEO)


def _no_clips() -> Iterator[Case]:
    video = Modality.VIDEO
    yield Case("a sound said to be video", sound_bytes(tone(0.3), "ipod", "aac"), "unsupported", video)
    yield Case("a sound in a container of video", sound_bytes(tone(0.3), "mp4", "aac"), "encoded")
    yield Case(
        "a box of nothing", b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42" + bytes(64), "broken", video
    )
    yield Case("a box that claims 2 GB", b"\x7f\xff\xff\xffftypisom" + bytes(64), "broken", video)
    yield Case(
        "playlist said to be video", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "broken", video, "x.m3u8"
    )
    yield Case(
        "a manifest of parts", b"<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>", "broken", video, "x.mpd"
    )
    yield Case("noise called mp4", np.random.default_rng(6).bytes(4000), "broken", called="x.mp4")
    yield Case("a picture called mp4", image_bytes(picture(), "PNG"), "encoded", called="x.mp4")
    yield Case("no bytes said to be video", b"", "empty", video)
