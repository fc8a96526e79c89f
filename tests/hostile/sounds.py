"""Sounds: odd codecs, cut, silent, of one sample, of absurd headers, playlists, things that are no sounds."""

import struct
from collections.abc import Iterator

import numpy as np

from encoders.base import Modality
from tests.hostile.case import Case
from tests.unit.media_samples import sound_bytes, tone, wav_bytes

CODECS = (
    ("wav", "pcm_u8"), ("wav", "pcm_s24le"), ("wav", "pcm_s32le"), ("wav", "pcm_f64le"), ("wav", "pcm_alaw"),
    ("wav", "pcm_mulaw"), ("wav", "adpcm_ms"), ("wav", "adpcm_ima_wav"), ("ac3", "ac3"),
    ("eac3", "eac3"), ("mp2", "mp2"), ("mp3", "mp3"), ("ipod", "alac"), ("ipod", "aac"), ("adts", "aac"),
    ("flac", "flac"), ("ogg", "libopus"), ("webm", "libopus"),
    ("flv", "nellymoser"), ("aiff", "pcm_s16be"), ("au", "pcm_s16be"), ("caf", "pcm_s16le"),
    ("matroska", "mp3"), ("wv", "wavpack"), ("mov", "pcm_s16be"), ("w64", "pcm_s16le"), ("wav", "g722"),
)  # fmt: skip

NOTHING = "broken|unsupported|empty"


def cases() -> Iterator[Case]:
    yield from _codecs()
    yield from _odd_waves()
    yield from _no_sounds()


def _codecs() -> Iterator[Case]:
    for container, codec in CODECS:
        rate = 48_000 if codec == "libopus" else 44_100
        content = sound_bytes(tone(0.3, rate), container, codec, rate)
        name = f"{codec} in {container}"
        yield Case(name, content, "encoded", Modality.AUDIO)
        yield Case(f"{name}, cut in half", content[: len(content) // 2], _half(container), Modality.AUDIO)
        yield Case(f"{name}, header alone", content[:30], NOTHING, Modality.AUDIO)


def _half(container: str) -> str:
    """An MP4's index lies at its end; of other containers the first half may be heard."""
    return "broken" if container in ("mov", "ipod") else "encoded|broken|empty"


def wave(
    samples: bytes, rate: int = 44100, channels: int = 1, bits: int = 16, kind: int = 1, size: int = -1
) -> bytes:
    block = channels * bits // 8
    size = len(samples) if size < 0 else size
    form = struct.pack("<HHIIHH", kind, channels, rate, min(rate * block, 2**32 - 1), block % 65536, bits)
    head = struct.pack("<4sI4s4sI", b"RIFF", (36 + size) % 2**32, b"WAVE", b"fmt ", 16)
    return head + form + struct.pack("<4sI", b"data", size) + samples


def _odd_waves() -> Iterator[Case]:
    some = (tone(0.2) * 32767).astype("<i2").tobytes()
    yield Case("one sample", wav_bytes(np.full(1, 0.5, np.float32)), "encoded")
    yield Case("two samples", wav_bytes(np.full(2, 0.5, np.float32)), "encoded")
    yield Case("no sample", wav_bytes(np.zeros(0, np.float32)), "empty")
    yield Case("silence", wav_bytes(np.zeros(20_000, np.float32)), "encoded")
    yield Case("a constant", wav_bytes(np.full(20_000, 0.9, np.float32)), "encoded")
    yield Case("a minute", wav_bytes(np.tile(tone(1.0, 8000), 60), 8000), "encoded")
    yield Case("1 sample a second", wave(some, rate=1), "unsupported")
    yield Case("0 samples a second", wave(some, rate=0), "broken")
    yield Case("10 million samples a second", wave(some, rate=10_000_000), "unsupported")
    yield Case("no channel", wave(some, channels=0), "unsupported")
    yield Case("200 channels", wave(some, channels=200), "unsupported")
    yield Case("64 channels", wave(some, channels=64), "encoded")
    yield Case("8 channels", wave(some, channels=8), "encoded")
    yield Case("0 bits", wave(some, bits=0), "unsupported")
    yield Case("13 bits", wave(some, bits=13), "encoded")
    yield Case("a size of 4 GB in the header", wave(some, size=2**32 - 1), "encoded")
    yield Case("an unknown codec", wave(some, kind=0x7777), "unsupported")
    values = np.array([np.nan, np.inf, -np.inf, 1e30, 0.1] * 300, "<f4").tobytes()
    yield Case("numbers that are none", wave(values, bits=32, kind=3), "encoded")
    yield Case(
        "a tag of 1 MB before an mp3", _tagged(sound_bytes(tone(0.3), "mp3", "mp3"), 1_000_000), "encoded"
    )
    yield Case("a tag that claims 200 MB", b"ID3\x04\x00\x00" + b"\x60\x00\x00\x00" + bytes(2000), "broken")


def _tagged(content: bytes, size: int) -> bytes:
    packed = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + packed + bytes(size) + content


def _no_sounds() -> Iterator[Case]:
    audio = Modality.AUDIO
    yield Case(
        "MIDI",
        b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60MTrk\x00\x00\x00\x04\x00\xff\x2f\x00",
        "broken",
        audio,
    )
    yield Case("playlist", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n", "broken", audio, "x.m3u8")
    yield Case("list of files to join", b"ffconcat version 1.0\nfile /etc/passwd\n", "broken", audio)
    yield Case(
        "session description",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
        "broken",
        audio,
        "x.sdp",
    )
    yield Case("noise called mp3", np.random.default_rng(5).bytes(4000), "broken", called="x.mp3")
    yield Case("a picture's name and a sound", wav_bytes(tone(0.2)), "encoded", called="x.png")
    yield Case("a sound said to be an image", wav_bytes(tone(0.2)), "unsupported", Modality.IMAGE)
    yield Case("a sound said to be text", wav_bytes(tone(0.2)), "broken", Modality.TEXT)
    yield Case("no bytes said to be sound", b"", "empty", audio)
