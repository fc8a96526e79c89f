"""Queues before the encoders: batches by cost, of one modality, nothing lost."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from encoders.base import Modality
from encoders.batching import ON_CPU, ON_DEVICE, Limit, Queues, cost
from encoders.media.decoded import SOUND_RATE, Decoded

LIMITS = dict.fromkeys(Modality, Limit(3, 100.0))


def text(length: int) -> Decoded:
    return Decoded(Modality.TEXT, text="x" * length)


def image(pixels: int) -> Decoded:
    return Decoded(Modality.IMAGE, image=np.zeros((1, pixels, 3), np.uint8))


def test_what_media_cost() -> None:
    frames = np.zeros((2, 4, 5, 3), np.uint8)
    sound = np.zeros(SOUND_RATE // 2, np.float32)
    assert cost(text(7)) == 7
    assert cost(image(12)) == 12
    assert cost(Decoded(Modality.AUDIO, sound=sound)) == 0.5
    assert cost(Decoded(Modality.VIDEO, frames=frames, sound=sound)) == 40
    assert cost(Decoded(Modality.VIDEO, sound=sound)) == 0.5


def test_a_batch_is_full_by_number_or_by_cost() -> None:
    queues = Queues(LIMITS)
    assert queues.add(b"1", text(1)) is None
    assert queues.add(b"2", image(99)) is None
    assert queues.add(b"3", text(1)) is None
    assert list(queues.add(b"4", text(1)) or ()) == [b"1", b"3", b"4"]
    assert list(queues.add(b"5", image(1)) or ()) == [b"2", b"5"]
    assert queues.fullest() is None


def test_the_fullest_goes_first_where_the_encoders_would_wait() -> None:
    queues = Queues(LIMITS)
    queues.add(b"little", text(5))
    queues.add(b"much", image(60))
    assert list(queues.fullest() or ()) == [b"much"]
    assert list(queues.fullest() or ()) == [b"little"]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 150)), max_size=40))
def test_every_medium_comes_out_once_with_its_like(media: list[tuple[bool, int]]) -> None:
    queues = Queues(LIMITS)
    batches = []
    for number, (is_text, size) in enumerate(media):
        batch = queues.add(b"%d" % number, text(size) if is_text else image(size))
        batches += [batch] if batch else []
    batches += queues.rest()
    assert sorted(key for batch in batches for key in batch) == sorted(b"%d" % n for n in range(len(media)))
    for batch in batches:
        assert len({decoded.modality for decoded in batch.values()}) == 1
        assert len(batch) <= 3


def test_every_modality_has_a_limit_wider_on_a_device() -> None:
    for modality in Modality:
        assert ON_CPU[modality].cost < ON_DEVICE[modality].cost
