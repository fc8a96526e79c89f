"""Sounds come out mono, at one rate, within bounds, and no longer than asked."""

import io
import struct
import wave

import numpy as np
import pytest
from media_samples import image_bytes, picture, sound_bytes, tone, wav_bytes

from encoders.base import Medium, Modality
from encoders.errors import MediumError
from encoders.media.decode import decode_medium
from encoders.media.decoded import SOUND_RATE
from encoders.media.sound import decode_sound
from encoders.settings import EncoderSettings


def reason_of(content: bytes) -> str:
    with pytest.raises(MediumError) as caught:
        decode_sound(content, 30.0)
    return caught.value.reason


def loudest_hertz(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * SOUND_RATE / len(samples))


@pytest.mark.parametrize(
    ("container", "codec"),
    [("wav", "pcm_s16le"), ("wav", "pcm_f32le"), ("wav", "pcm_u8"), ("mp3", "mp3"), ("flac", "flac"),
     ("adts", "aac"), ("ipod", "aac"), ("aiff", "pcm_s16be"), ("matroska", "aac")],
)  # fmt: skip
def test_formats(container: str, codec: str) -> None:
    decoded = decode_medium(Medium(sound_bytes(tone(1.0), container, codec)), EncoderSettings())
    assert decoded.modality is Modality.AUDIO
    assert decoded.sound is not None
    assert decoded.sound.dtype == np.float32
    assert 0.9 < len(decoded.sound) / SOUND_RATE < 1.1
    assert abs(loudest_hertz(decoded.sound) - 440) < 3
    assert abs(float(decoded.sound.std()) - 0.5 / np.sqrt(2)) < 0.03


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000, 96_000])
def test_resampled(rate: int) -> None:
    samples = decode_sound(wav_bytes(tone(0.5, rate), rate), 30.0)
    assert abs(len(samples) - SOUND_RATE // 2) < 100
    assert abs(loudest_hertz(samples) - 440) < 5


def test_channels_are_averaged_and_loud_stereo_does_not_clip() -> None:
    loud = tone(0.5, level=0.95)
    both = decode_sound(wav_bytes(np.stack([loud, loud], axis=1)), 30.0)
    assert abs(float(np.abs(both).max()) - 0.95) < 0.01
    one = decode_sound(wav_bytes(np.stack([loud, 0 * loud], axis=1)), 30.0)
    assert abs(float(np.abs(one).max()) - 0.475) < 0.01


@pytest.mark.parametrize("channels", [6, 7, 8, 24, 64])
def test_many_channels(channels: int) -> None:
    samples = decode_sound(wav_bytes(np.repeat(tone(0.3)[:, None], channels, axis=1)), 30.0)
    assert len(samples) == len(tone(0.3))
    assert abs(loudest_hertz(samples) - 440) < 5
    assert abs(float(np.abs(samples).max()) - 0.5) < 0.01


def test_cut_at_the_limit() -> None:
    assert len(decode_sound(wav_bytes(tone(3.0)), 1.5)) == int(1.5 * SOUND_RATE)


def test_silence_is_a_sound() -> None:
    assert not decode_sound(wav_bytes(np.zeros(4410, np.float32)), 30.0).any()


def test_what_is_no_number_is_silent() -> None:
    values = np.array([0.1, np.nan, np.inf, -np.inf, 7.0, 0.1] * 200, "<f4")
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + values.nbytes, b"WAVE", b"fmt ", 16, 3, 1,
                       SOUND_RATE, 4 * SOUND_RATE, 4, 32, b"data", values.nbytes)  # fmt: skip
    samples = decode_sound(head + values.tobytes(), 30.0)
    assert len(samples) == 1200
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1.0


def test_empty() -> None:
    assert reason_of(b"") == "empty"
    assert reason_of(wav_bytes(np.zeros(0, np.float32))) == "empty"
    with pytest.raises(MediumError, match="empty"):
        decode_medium(Medium(b"", name="a.wav"), EncoderSettings())


def test_header_alone() -> None:
    content = wav_bytes(tone(1.0))
    assert reason_of(content[:44]) in ("empty", "broken")
    assert reason_of(content[:20]) == "broken"


def test_rates_that_nobody_hears() -> None:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 1, 0, "NONE", ""))
        file.writeframes(bytes(8192))
    assert reason_of(out.getvalue()) == "unsupported"


def test_noise_and_pictures_are_no_sounds() -> None:
    assert reason_of(np.random.default_rng(0).bytes(5000)) == "broken"
    assert reason_of(image_bytes(picture(), "PNG")) in ("broken", "unsupported")


def test_playlists_open_nothing(tmp_path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav_bytes(tone(0.2)))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile {secret}\n"
    for text in (playlist, concat):
        assert reason_of(text.encode()) == "broken"


def test_half_an_mp3_is_kept() -> None:
    content = sound_bytes(tone(2.0), "mp3", "mp3")
    assert 0.7 < len(decode_sound(content[: len(content) // 2], 30.0)) / SOUND_RATE < 1.3
