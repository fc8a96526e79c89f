"""Sniffing tells the kind of real containers, and never fails on what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_samples import image_bytes, picture, scenes, sound_bytes, tone, video_bytes, wav_bytes

from encoders.base import Modality
from encoders.media.sniff import sniff


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "AVIF"])
def test_images(kind: str) -> None:
    assert sniff(image_bytes(picture(), kind)) is Modality.IMAGE


@pytest.mark.parametrize(
    ("container", "codec"),
    [("wav", "pcm_s16le"), ("mp3", "mp3"), ("flac", "flac"), ("adts", "aac"), ("ipod", "aac"),
     ("aiff", "pcm_s16be"), ("au", "pcm_s16be"), ("matroska", "aac")],
)  # fmt: skip
def test_sounds(container: str, codec: str) -> None:
    assert sniff(sound_bytes(tone(0.3), container, codec)) is Modality.AUDIO


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "mpeg4"), ("mov", "mpeg4"), ("webm", "libvpx"), ("matroska", "mpeg4"), ("avi", "mpeg4"),
     ("mpegts", "mpeg2video"), ("flv", "flv"), ("asf", "wmv2")],
)  # fmt: skip
def test_videos(container: str, codec: str) -> None:
    clip = video_bytes(scenes([(200, 0, 0)], 5), container=container, codec=codec)
    assert sniff(clip) is Modality.VIDEO


@pytest.mark.parametrize(
    "text", ["Guten Tag", "你好，世界", "a\tb\r\nc", '{"a": 1}', "é" * 40_000, "\ufeffwith a mark"]
)
def test_text(text: str) -> None:
    assert sniff(text.encode()) is Modality.TEXT
    assert sniff(text.encode("utf-16")) is Modality.TEXT


def test_ogg_names_its_tracks() -> None:
    page = b"OggS\x00\x02" + bytes(20) + b"\x01\x1e"
    assert sniff(page + b"\x01vorbis" + bytes(23)) is Modality.AUDIO
    assert sniff(page + b"\x80theora" + bytes(35)) is Modality.VIDEO


def test_name_is_asked_only_where_content_is_silent() -> None:
    assert sniff(wav_bytes(tone(0.1)), "a.png") is Modality.AUDIO
    assert sniff(b"", "https://example.org/a/B.JPG?size=3") is Modality.IMAGE
    assert sniff(b"", "clip.mp4") is Modality.VIDEO
    assert sniff(b"\x00\x01\x02", "song.mp3") is Modality.AUDIO
    assert sniff(b"\x00\x01\x02", "song.xyz") is None
    assert sniff(b"") is None


def test_programs_and_archives_are_nothing() -> None:
    assert sniff(b"\x7fELF\x02\x01\x01" + bytes(64)) is None
    assert sniff(b"PK\x03\x04\x14\x00\x00\x00\x08\x00") is None
    assert sniff(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic") is None


@given(st.binary(max_size=600), st.text(max_size=20))
def test_never_fails(content: bytes, name: str) -> None:
    assert sniff(content, name) in (*Modality, None)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=4, max_size=60))
def test_utf8_text_is_text_unless_it_wears_a_mark(text: str) -> None:
    assert sniff(text.encode()) is Modality.TEXT or text.startswith(
        ("BM", "ID3", "RIFF", "FORM", "OggS", "fLaC")
    )
