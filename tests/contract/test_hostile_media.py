"""What strangers send is encoded or masked for a reason, one by one, and the worker goes on.

The way is the worker's own: the bank of encoders over decoding processes with their limits of memory and
time. Classic encoders come first, since it is the media that are tried, one by one; what was decoded goes
through learned ones then, all of it in one call. `tests/soak/test_hostile_encoders.py` has every learned one.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from encoders.bank import EncoderBank
from encoders.base import Encoded, Medium, Modality
from encoders.errors import REASONS
from encoders.media.decoded import Decoded
from encoders.media.decoding import Decoding, Outcome
from encoders.media.pool import DecodePool
from encoders.observer import Observer
from encoders.settings import EncoderSettings
from tests.hostile.case import Case
from tests.hostile.learned import CASES, LEARNED, LIMITS, PARTS, learned, outcome

SETTINGS = LIMITS
MOST_MEMORY_KB = 400_000
"""What a decoding process may come to hold over the whole set; the limit that ends it is far above."""
STATUS = Path("/proc/self/status")


class CountedPool(DecodePool):
    """Knows whether a process had to be replaced, and what became of each medium."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__(settings)
        self.outcomes: dict[Medium, Outcome] = {}

    def pids(self) -> set[int]:
        return {child.pid for child in self._children}

    def _decode(self, medium: Medium) -> Outcome:
        return self.outcomes.setdefault(medium, super()._decode(medium))


class DecodedBefore:
    """What the pool decoded once is not decoded again, for encoders with the same limits of decoding."""

    def __init__(self, pool: CountedPool) -> None:
        self._pool = pool
        self._threads = ThreadPoolExecutor(1)

    def decode_ahead(self, media: Sequence[Medium], ahead: int) -> Decoding:
        return Decoding(self._threads, self._outcome, media, ahead)

    def _outcome(self, medium: Medium) -> Outcome:
        known = self._pool.outcomes.get(medium)
        return self._pool._decode(medium) if known is None else known


class Failures(Observer):
    """What the encoders failed on."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def failed(self, encoder: str, reason: str) -> None:
        self.seen.append(f"{encoder}: {reason}")


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
    assert len(CASES) == sum(1 for part in PARTS for _ in part.cases())
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


@pytest.fixture(scope="module")
def telling(pool: CountedPool) -> list[str]:
    """The first of the cases that decode to about the same, and all that are not decoded."""
    firsts: dict[str, str] = {}
    for name, case in CASES.items():
        decoded = pool.outcomes.get(case.medium) or pool._decode(case.medium)
        firsts.setdefault(summary(decoded) if isinstance(decoded, Decoded) else name, name)
    return list(firsts.values())


def summary(decoded: Decoded) -> str:
    """Shapes and extremes, by which odd samples differ from ordinary ones."""
    arrays = [one for one in (decoded.image, decoded.sound, decoded.frames) if one is not None]
    return repr([decoded.text, *((one.shape, f"{one.min():.1f} {one.max():.1f}") for one in arrays)])


@pytest.fixture(scope="module", params=LEARNED)
def found(
    request: pytest.FixtureRequest, pool: CountedPool, telling: list[str]
) -> tuple[EncoderBank, dict[str, Encoded]]:
    """What learned encoders make of the set, handed to them in one call."""
    failures = Failures()
    bank = EncoderBank(learned(LEARNED[request.param]), None, DecodedBefore(pool), failures)
    encoded = bank.encode([CASES[name].medium for name in telling])
    # An encoder that fails on a medium would mask it, which is no outcome of a whole medium.
    assert failures.seen == []
    return bank, dict(zip(telling, encoded, strict=True))


def test_learned_encoders_make_unit_vectors_of_all_that_can_be_decoded(
    found: tuple[EncoderBank, dict[str, Encoded]],
) -> None:
    for name, one in found[1].items():
        assert outcome(one) in CASES[name].outcomes, (name, one.details)
        assert all(vector.dtype == np.float32 for vector in one.vectors.values())


def test_to_learned_encoders_odd_company_makes_no_difference(
    found: tuple[EncoderBank, dict[str, Encoded]],
) -> None:
    bank, together = found
    bank._remembered.clear()
    for name in [name for name, one in together.items() if one.vectors][::11]:
        (alone,) = bank.encode([CASES[name].medium])
        assert alone.vectors.keys() == together[name].vectors.keys()
        for modality, vector in alone.vectors.items():
            # To a model of chance all classes are nearly even: the last digits decide which ten it names.
            assert vector @ together[name].vectors[modality] > 0.99, (name, modality)
