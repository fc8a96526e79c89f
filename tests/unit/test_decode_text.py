"""Text comes out clean, and hostile bytes give a reason and nothing else."""

import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_samples import image_bytes, picture, scenes, sound_bytes, tone, video_bytes, wav_bytes

from encoders.base import Medium, Modality
from encoders.errors import REASONS, MediumError
from encoders.media.decode import decode_medium
from encoders.media.decoded import Decoded
from encoders.media.text import decode_text
from encoders.settings import EncoderSettings

SETTINGS = EncoderSettings(max_pixels=1_000_000, max_video_seconds=2.0, max_audio_seconds=2.0)


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_codings(coding: str) -> None:
    assert decode_text("Grüße, 世界 🎈".encode(coding), 1000) == "Grüße, 世界 🎈"


def test_old_single_byte_text() -> None:
    assert decode_text("déjà vu – café".encode("cp1252"), 1000) == "déjà vu – café"


def test_normal_form_and_controls() -> None:
    assert decode_text("cafe\u0301".encode(), 1000) == "café"
    assert decode_text(b"a\x00b\x07c\r\nd\te\x7f", 1000) == "a b c\nd\te"
    assert decode_text("left\u202eright".encode(), 1000) == "left right"


def test_compatibility_forms_become_what_they_stand_for() -> None:
    assert decode_text("ｃａｔ ﬁsh H₂O ①".encode(), 1000) == "cat fish H2O 1"


def test_what_nobody_sees_is_dropped() -> None:
    assert decode_text("\u200fשלום\u200e co\u00adoperate\u200b\u2060".encode(), 1000) == "שלום cooperate"
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
    assert decode_text(f"nice{hidden} words".encode(), 1000) == "nice words"
    # Joiners are part of how Persian and emoji are written.
    assert decode_text("می\u200cخواهم 👩\u200d🚀".encode(), 1000) == "می\u200cخواهم 👩\u200d🚀"


def test_cut() -> None:
    assert decode_text("世".encode() * 50, 7) == "世" * 7
    # The last character of a cut transfer is dropped, the others stay.
    assert decode_text("世界".encode()[:-1], 100) == "世"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b" \n\t ", "empty"), (bytes(100), "broken"), (bytes(range(256)), "broken")],
)
def test_nothing_to_read(content: bytes, reason: str) -> None:
    with pytest.raises(MediumError) as caught:
        decode_text(content, 100)
    assert caught.value.reason == reason


def test_piled_marks_are_bounded() -> None:
    text = decode_text(("a" + "\u0316\u0301" * 5000 + "b").encode(), 20_000)
    assert len(text) < 50
    assert text.endswith("b")


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_give_text_or_a_reason(content: bytes, most: int) -> None:
    try:
        text = decode_text(content, most)
    except MediumError as error:
        assert error.reason in ("empty", "broken")
    else:
        assert 0 < len(text) <= most
        assert unicodedata.is_normalized("NFKC", text)
        assert not [char for char in text if unicodedata.category(char) == "Cc" and char not in "\n\t"]


SAMPLES = {
    "jpeg": image_bytes(picture(), "JPEG"),
    "png": image_bytes(picture(), "PNG"),
    "gif": image_bytes(picture(), "GIF"),
    "webp": image_bytes(picture(), "WEBP"),
    "tiff": image_bytes(picture(), "TIFF"),
    "wav": wav_bytes(tone(0.1)),
    "mp3": sound_bytes(tone(0.2), "mp3", "mp3"),
    "flac": sound_bytes(tone(0.1), "flac", "flac"),
    "mp4": video_bytes(scenes([(200, 0, 0), (0, 200, 0)], 4, size=(64, 48)), samples=tone(0.2)),
    "mkv": video_bytes(scenes([(200, 0, 0)], 4, size=(64, 48)), container="matroska"),
}


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_media_give_arrays_or_a_reason(data: st.DataObject) -> None:
    content = bytearray(SAMPLES[data.draw(st.sampled_from(sorted(SAMPLES)))])
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=12)):
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    kept = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    modality = data.draw(st.sampled_from([None, None, *Modality]))
    check(Medium(bytes(content[:kept]), modality))


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=400), st.sampled_from([None, *Modality]))
def test_random_bytes_give_arrays_or_a_reason(content: bytes, modality: Modality | None) -> None:
    check(Medium(content, modality))


def check(medium: Medium) -> None:
    try:
        decoded = decode_medium(medium, SETTINGS)
    except MediumError as error:
        assert error.reason in REASONS
    else:
        check_decoded(decoded)


def check_decoded(decoded: Decoded) -> None:
    if decoded.image is not None:
        assert decoded.image.ndim == 3
        assert decoded.image.dtype == np.uint8
    if decoded.frames is not None:
        assert decoded.frames.ndim == 4
        assert 1 <= len(decoded.frames) <= SETTINGS.max_video_frames
    if decoded.sound is not None:
        assert decoded.sound.size
        assert np.isfinite(decoded.sound).all()
    filled = {
        Modality.TEXT: decoded.text,
        Modality.IMAGE: decoded.image,
        Modality.AUDIO: decoded.sound,
        Modality.VIDEO: decoded.frames,
    }
    assert filled[decoded.modality] is not None
