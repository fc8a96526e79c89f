"""Videos come out as key frames and a sound track."""

import numpy as np
import pytest
from media_samples import scenes, sound_bytes, tone, turned, video_bytes, wav_bytes

from encoders.base import Medium, Modality
from encoders.errors import MediumError
from encoders.media import video
from encoders.media.decode import decode_medium
from encoders.media.decoded import SOUND_RATE
from encoders.settings import EncoderSettings

RED, GREEN, BLUE = (220, 0, 0), (0, 220, 0), (0, 0, 220)
SETTINGS = EncoderSettings()


def reason_of(medium: Medium, settings: EncoderSettings = SETTINGS) -> str:
    with pytest.raises(MediumError) as caught:
        decode_medium(medium, settings)
    return caught.value.reason


def colours(frames: np.ndarray) -> list[int]:
    return [int(frame[frame.shape[0] // 2, frame.shape[1] // 2].argmax()) for frame in frames]


@pytest.mark.parametrize(
    ("container", "codec"), [("mp4", "mpeg4"), ("matroska", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4")]
)
def test_a_key_frame_for_each_scene(container: str, codec: str) -> None:
    clip = video_bytes(scenes([RED, GREEN, BLUE], 25), container=container, codec=codec)
    decoded = decode_medium(Medium(clip), SETTINGS)
    assert decoded.modality is Modality.VIDEO
    assert decoded.frames is not None
    assert decoded.frames.shape == (3, 96, 160, 3)
    assert colours(decoded.frames) == [0, 1, 2]
    assert decoded.sound is None


def test_the_sound_track_comes_along() -> None:
    clip = video_bytes(scenes([RED, GREEN], 25), samples=tone(2.0))
    decoded = decode_medium(Medium(clip), SETTINGS)
    assert decoded.sound is not None
    assert 1.9 < len(decoded.sound) / SOUND_RATE < 2.2
    short = decode_medium(Medium(clip), EncoderSettings(max_audio_seconds=0.5))
    assert short.sound is not None
    assert len(short.sound) == SOUND_RATE // 2


def test_at_most_so_many_frames_spread_over_the_clip() -> None:
    clip = video_bytes(scenes([RED, GREEN, BLUE] * 7, 12))
    decoded = decode_medium(Medium(clip), EncoderSettings(max_video_frames=5))
    assert decoded.frames is not None
    assert len(decoded.frames) == 5


def test_frames_are_small() -> None:
    clip = video_bytes(scenes([RED], 3, size=(800, 450)))
    decoded = decode_medium(Medium(clip), SETTINGS)
    assert decoded.frames is not None
    assert decoded.frames.shape == (1, 180, 320, 3)


@pytest.mark.parametrize("quarters", range(4))
def test_a_phone_held_upright_is_seen_upright(quarters: int) -> None:
    pixels = np.zeros((48, 96, 3), np.uint8)
    pixels[:, :48, 0], pixels[:, 48:, 2], pixels[:24, :, 1] = 200, 200, 120
    clip = turned(video_bytes([pixels] * 5), quarters)
    decoded = decode_medium(Medium(clip), SETTINGS)
    assert decoded.frames is not None
    expected = np.rot90(pixels, -quarters)
    assert decoded.frames.shape == (1, *expected.shape)
    assert np.abs(decoded.frames[0].astype(int) - expected).mean() < 12


def test_only_the_first_seconds_are_read() -> None:
    clip = video_bytes(scenes([RED, GREEN, BLUE], 25), samples=tone(3.0))
    decoded = decode_medium(Medium(clip), EncoderSettings(max_video_seconds=1.5))
    assert decoded.frames is not None
    assert colours(decoded.frames) == [0, 1]
    assert decoded.sound is not None
    assert len(decoded.sound) / SOUND_RATE <= 1.5


def test_dear_clips_are_read_by_their_intra_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = video_bytes(scenes([RED, GREEN, BLUE], 36))
    monkeypatch.setattr(video, "DEAREST_PIXELS", 1000)
    decoded = decode_medium(Medium(clip), SETTINGS)
    assert decoded.frames is not None
    assert set(colours(decoded.frames)) == {0, 1, 2}


@pytest.mark.parametrize("way", ["flow", "sparse-flow"])
def test_key_frames_by_flow(way: str) -> None:
    clip = video_bytes(scenes([RED, GREEN, BLUE], 25))
    decoded = decode_medium(Medium(clip), EncoderSettings(key_frames=way))
    assert decoded.frames is not None
    assert colours(decoded.frames)[0] == 0
    assert len(decoded.frames) <= 8


def test_key_frames_by_shot_with_the_sound_track() -> None:
    clip = video_bytes(scenes([RED, GREEN, BLUE], 25), samples=tone(3.0))
    decoded = decode_medium(Medium(clip), EncoderSettings(key_frames="shots", max_video_seconds=2.0))
    assert decoded.frames is not None
    assert colours(decoded.frames) == [0, 1]
    assert decoded.sound is not None
    assert 1.9 < len(decoded.sound) / SOUND_RATE <= 2.0


def test_too_large_frames_are_refused() -> None:
    clip = video_bytes(scenes([RED], 3, size=(320, 240)))
    assert reason_of(Medium(clip), EncoderSettings(max_pixels=320 * 240 - 1)) == "too_large"


def test_a_container_with_sound_alone_is_audio_unless_it_claims_otherwise() -> None:
    content = sound_bytes(tone(0.5), "mp4", "aac")
    assert decode_medium(Medium(content), SETTINGS).modality is Modality.AUDIO
    assert reason_of(Medium(content, Modality.VIDEO)) == "unsupported"


def test_a_video_can_be_heard() -> None:
    clip = video_bytes(scenes([RED], 25), samples=tone(1.0))
    heard = decode_medium(Medium(clip, Modality.AUDIO), SETTINGS)
    assert heard.modality is Modality.AUDIO
    assert heard.sound is not None
    assert heard.frames is None


def test_truncated_clips() -> None:
    clip = video_bytes(scenes([RED, GREEN], 25), container="matroska")
    half = decode_medium(Medium(clip[: len(clip) // 2]), SETTINGS)
    assert half.frames is not None
    # The index of an MP4 lies at its end.
    assert reason_of(Medium(video_bytes(scenes([RED, GREEN], 25))[:-200])) == "broken"
    assert reason_of(Medium(b"", Modality.VIDEO)) == "empty"
    assert reason_of(Medium(wav_bytes(tone(0.2)), Modality.VIDEO)) == "unsupported"
