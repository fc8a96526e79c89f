"""What strangers send is encoded or masked for a reason, one by one, and the worker goes on.

The way is the worker's own: the bank of encoders over decoding processes with their limits of memory and
time. The encoders are classic ones, since it is the media that are tried here.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from encoders.bank import EncoderBank
from encoders.base import Medium, Modality
from encoders.errors import REASONS
from encoders.media.pool import DecodePool
from encoders.settings import EncoderSettings
from tests.hostile import images, sounds, texts, videos
from tests.hostile.case import Case

SETTINGS = EncoderSettings(
    device="cpu", text="bag-of-words", image="colour-histogram", audio="intensity", max_pixels=4_000_000,
    max_video_seconds=4.0, max_audio_seconds=5.0, max_text_characters=2000,
)  # fmt: skip
CASES = {case.name: case for part in (images, sounds, videos, texts) for case in part.cases()}
MOST_MEMORY_KB = 400_000
"""What a decoding process may come to hold over the whole set; the limit that ends it is far above."""
STATUS = Path("/proc/self/status")


class CountedPool(DecodePool):
    """Knows whether a process had to be replaced."""

    def pids(self) -> set[int]:
        return {child.pid for child in self._children}


@pytest.fixture(scope="module")
def pool() -> Iterator[CountedPool]:
    pool = CountedPool(SETTINGS)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def bank(pool: CountedPool) -> EncoderBank:
    return EncoderBank(SETTINGS, None, pool)


def test_the_set_is_large_and_of_all_modalities() -> None:
    assert len(CASES) >= 300
    assert len(CASES) == sum(1 for part in (images, sounds, videos, texts) for _ in part.cases())
    outcomes = {outcome for case in CASES.values() for outcome in case.outcomes}
    assert outcomes == {"encoded", "broken", "unsupported", "empty", "too_large"} <= {"encoded", *REASONS}


@pytest.mark.parametrize("name", CASES)
def test_is_encoded_or_masked_for_a_reason(name: str, bank: EncoderBank, pool: CountedPool) -> None:
    case = CASES[name]
    before = pool.pids()
    (found,) = bank.encode([case.medium])
    assert found.fatal is None
    if found.vectors:
        outcome = "encoded"
        assert all(vector.shape == (128,) and np.isfinite(vector).all() for vector in found.vectors.values())
        assert not found.masked
    else:
        (outcome,) = set(found.masked.values())
        assert found.details
    assert outcome in case.outcomes, found.details
    # No process was lost, be it by a crash or by a medium that took too long.
    assert before <= pool.pids()


def test_one_of_each_kind_in_one_batch_changes_nothing(bank: EncoderBank) -> None:
    sound = [case for case in CASES.values() if case.expected == "encoded"][::12]
    bad = [case for case in CASES.values() if "encoded" not in case.outcomes][::12]
    alone = {case.name: bank.encode([case.medium])[0] for case in sound}
    mixed: list[Case] = [case for pair in zip(sound, bad, strict=False) for case in pair]
    fresh = EncoderBank(SETTINGS, None, bank._pool)
    for case, found in zip(mixed, fresh.encode([case.medium for case in mixed]), strict=True):
        assert bool(found.vectors) == (case in sound)
        for modality, vector in found.vectors.items():
            np.testing.assert_allclose(vector, alone[case.name].vectors[modality], atol=1e-5)


@pytest.mark.skipif(not STATUS.exists(), reason="needs Linux to see another process' memory")
def test_decoding_them_all_takes_little_memory(bank: EncoderBank, pool: CountedPool) -> None:
    bank.encode([Medium(CASES["PNG of mode L"].content, Modality.IMAGE)])
    for pid in pool.pids():
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        assert peak is not None
        assert int(peak[1]) < MOST_MEMORY_KB
