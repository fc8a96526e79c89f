"""The bank of encoders: what it encodes once, what it keeps, and what becomes of what fails."""

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from encoders.alignment_artifact import save_alignment
from encoders.alignment_fit import fit_from_media
from encoders.bank import EncoderBank
from encoders.base import SHARED_DIM, Encoded, Medium, Modality
from encoders.errors import ArtifactError, DecoderCrash, EncodersError, MediumError
from encoders.media.decoded import Decoded
from encoders.media.decoding import Decoding
from encoders.observer import Observer
from encoders.remembered import Remembered
from encoders.settings import EncoderSettings
from streams.encode.late_media import RETRY_SECONDS, LateMedia
from streams.encode.media import MediaEncoder, Wanted
from tests.encoder_samples import picture, sound
from tests.fake_media import FakeFetcher

SETTINGS = EncoderSettings(device="cpu", batch_items=4)
SAMPLES = {
    b"image-1": Decoded(Modality.IMAGE, image=picture(1)),
    b"image-2": Decoded(Modality.IMAGE, image=picture(2)),
    b"sound-1": Decoded(Modality.AUDIO, sound=sound(1)),
    b"video-1": Decoded(Modality.VIDEO, frames=np.stack([picture(1), picture(3)]), sound=sound(2)),
    b"silent-video": Decoded(Modality.VIDEO, frames=picture(4)[None]),
}
IMAGE_1 = Medium(b"image-1", Modality.IMAGE)
IMAGE_2 = Medium(b"image-2", Modality.IMAGE)
VIDEO = Medium(b"video-1", Modality.VIDEO)
TEXT = Medium(b"a small red house", Modality.TEXT)


class FakePool:
    """Decodes what SAMPLES holds and `image-<seed>` in a thread; notes every call."""

    def __init__(self) -> None:
        self.calls: list[list[Medium]] = []
        self.ahead: list[int] = []
        self._threads = ThreadPoolExecutor(1)

    def decode_ahead(self, media: Sequence[Medium], ahead: int) -> Decoding:
        self.calls.append(list(media))
        self.ahead.append(ahead)
        return Decoding(self._threads, lambda medium: self._one(medium.content), media, ahead)

    @property
    def decoded(self) -> list[bytes]:
        return [medium.content for call in self.calls for medium in call]

    @staticmethod
    def _one(content: bytes) -> Decoded | MediumError | DecoderCrash:
        if content in SAMPLES:
            return SAMPLES[content]
        if content.startswith(b"image-"):
            return Decoded(Modality.IMAGE, image=picture(int(content[6:])))
        if content.startswith(b"crash"):
            return DecoderCrash("ended three times")
        return MediumError(content.decode(), "as asked")


class DictCache:
    """A vector cache in memory."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.values.get(key) for key in keys]

    def put_many(self, values: Mapping[bytes, bytes]) -> None:
        self.values.update(values)


@pytest.fixture(scope="module")
def loaded() -> EncoderBank:
    """One bank for the module: loading the encoders takes seconds."""
    return EncoderBank(SETTINGS, None, FakePool())


@pytest.fixture
def pool() -> FakePool:
    return FakePool()


@pytest.fixture
def bank(loaded: EncoderBank, pool: FakePool) -> Iterator[EncoderBank]:
    loaded._pool, loaded._cache = pool, DictCache()
    loaded._remembered.clear()
    builtin = loaded.alignment
    yield loaded
    loaded.use(builtin)


def forget(bank: EncoderBank) -> None:
    bank._remembered.clear()


def assert_same(first: Encoded, second: Encoded) -> None:
    assert first.vectors.keys() == second.vectors.keys()
    for modality, vector in first.vectors.items():
        np.testing.assert_allclose(vector, second.vectors[modality], atol=1e-5)
    assert first.labels == second.labels


def test_every_modality_gives_unit_vectors(bank: EncoderBank) -> None:
    media = [
        TEXT,
        IMAGE_1,
        Medium(b"sound-1", Modality.AUDIO),
        VIDEO,
        Medium(b"silent-video", Modality.VIDEO),
    ]
    encoded = bank.encode(media)
    assert [set(one.vectors) for one in encoded] == [
        {Modality.TEXT},
        {Modality.IMAGE},
        {Modality.AUDIO},
        {Modality.VIDEO, Modality.AUDIO},
        {Modality.VIDEO},
    ]
    for one in encoded:
        assert not one.masked
        assert one.fatal is None
        for vector in one.vectors.values():
            assert vector.dtype == np.float32
            assert vector.shape == (SHARED_DIM,)
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
            with pytest.raises(ValueError, match="read-only"):
                vector[0] = 1


def test_what_is_private_goes_to_no_disk_unless_others_show_it_too(bank: EncoderBank) -> None:
    mine, ours = (Medium(text, Modality.TEXT, private=True) for text in (b"my diary", b"a red boat"))
    shown = Medium(b"a red boat", Modality.TEXT)
    cache = bank._cache
    assert isinstance(cache, DictCache)
    first = bank.encode([ours, mine, shown])
    assert list(cache.values) == [bank.key(shown)]
    assert_same(first[1], bank.encode([mine])[0])
    forget(bank)
    bank.encode([mine, Medium(b"image-1", Modality.IMAGE, private=True)])
    assert list(cache.values) == [bank.key(shown)]


def test_no_media_give_nothing(bank: EncoderBank, pool: FakePool) -> None:
    assert bank.encode([]) == []
    assert bank.encode_texts([]) == []
    assert pool.calls == []


def test_equal_media_in_one_call_are_decoded_once(bank: EncoderBank, pool: FakePool) -> None:
    encoded = bank.encode([IMAGE_1, IMAGE_2, IMAGE_1, Medium(b"image-1", Modality.IMAGE, "another name")])
    assert pool.decoded == [b"image-1", b"image-2"]
    assert_same(encoded[0], encoded[2])
    assert_same(encoded[0], encoded[3])


def test_a_second_call_needs_no_decoding(bank: EncoderBank, pool: FakePool) -> None:
    first = bank.encode([IMAGE_1, VIDEO, TEXT])
    assert not any(one.cached for one in first)
    second = bank.encode([TEXT, IMAGE_1, VIDEO])
    assert all(one.cached for one in second)
    assert len(pool.decoded) == 2
    assert_same(first[0], second[1])
    assert_same(first[1], second[2])
    assert_same(first[2], second[0])


def test_the_vector_cache_gives_the_same_to_the_bit(bank: EncoderBank, pool: FakePool) -> None:
    media = [IMAGE_1, VIDEO, TEXT]
    first = bank.encode(media)
    forget(bank)
    second = bank.encode(media)
    assert len(pool.decoded) == 2
    assert all(one.cached for one in second)
    for one, other in zip(first, second, strict=True):
        assert one.labels == other.labels
        for modality, vector in one.vectors.items():
            np.testing.assert_array_equal(vector, other.vectors[modality])


def test_a_cache_entry_that_cannot_be_read_is_a_miss(bank: EncoderBank, pool: FakePool) -> None:
    first = bank.encode([IMAGE_1])
    forget(bank)
    cache = DictCache()
    cache.values = dict.fromkeys([bank._keys.key(IMAGE_1)], b"\xc1 not a record")
    bank._cache = cache
    assert_same(bank.encode([IMAGE_1])[0], first[0])
    assert pool.decoded == [b"image-1", b"image-1"]


def test_works_without_a_cache(bank: EncoderBank, pool: FakePool) -> None:
    bank._cache = None
    first = bank.encode([IMAGE_1])
    assert_same(first[0], bank.encode([IMAGE_1])[0])
    assert pool.decoded == [b"image-1"]


def test_alone_is_as_in_company(bank: EncoderBank) -> None:
    media = [Medium(f"image-{seed}".encode(), Modality.IMAGE) for seed in range(1, 8)] + [TEXT, VIDEO]
    together = bank.encode(media)
    bank._cache = None
    for medium, encoded in zip(media, together, strict=True):
        forget(bank)
        assert_same(bank.encode([medium])[0], encoded)


def test_many_media_are_decoded_no_more_than_batch_items_ahead(bank: EncoderBank, pool: FakePool) -> None:
    encoded = bank.encode([Medium(f"image-{seed}".encode(), Modality.IMAGE) for seed in range(1, 31)])
    assert pool.ahead == [SETTINGS.batch_items]
    assert all(Modality.IMAGE in one.vectors for one in encoded)


def test_texts_are_encoded_while_others_are_still_decoded(
    bank: EncoderBank, pool: FakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts_done = threading.Event()

    class Notes(Observer):
        def encoded(self, modality: Modality, media: int, seconds: float) -> None:
            if modality is Modality.TEXT:
                texts_done.set()

    def slow(content: bytes) -> Decoded | MediumError | DecoderCrash:
        assert texts_done.wait(60)
        return SAMPLES[content]

    monkeypatch.setattr(bank._natives, "_observer", Notes())
    monkeypatch.setattr(pool, "_one", slow)
    assert all(one.vectors for one in bank.encode([IMAGE_1, TEXT, IMAGE_2]))


def test_batches_and_what_waits_are_told(bank: EncoderBank, monkeypatch: pytest.MonkeyPatch) -> None:
    class Notes(Observer):
        def __init__(self) -> None:
            self.batches: list[tuple[Modality, int]] = []
            self.depths: list[int] = []

        def encoded(self, modality: Modality, media: int, seconds: float) -> None:
            self.batches.append((modality, media))

        def waiting(self, media: int) -> None:
            self.depths.append(media)

    notes = Notes()
    monkeypatch.setattr(bank, "_observer", notes)
    monkeypatch.setattr(bank._natives, "_observer", notes)
    images = [Medium(f"image-{seed}".encode(), Modality.IMAGE) for seed in range(1, 12)]
    bank.encode([*images, TEXT, Medium(b"broken", Modality.IMAGE)])
    assert (Modality.TEXT, 1) in notes.batches
    assert sum(media for modality, media in notes.batches if modality is Modality.IMAGE) == 11
    assert notes.depths == sorted(notes.depths, reverse=True)
    assert notes.depths[0] > 1
    assert notes.depths[-1] == 0


def test_a_decoder_that_fails_for_all_is_an_error_and_the_next_call_goes_well(
    bank: EncoderBank, pool: FakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(content: bytes) -> Decoded | MediumError | DecoderCrash:
        raise EncodersError("no decoding process starts")

    with monkeypatch.context() as patch, pytest.raises(EncodersError, match="no decoding process"):
        patch.setattr(pool, "_one", fail)
        bank.encode([IMAGE_1, IMAGE_2])
    assert all(one.vectors for one in bank.encode([IMAGE_1, IMAGE_2]))


def test_what_fails_fails_alone(bank: EncoderBank) -> None:
    media = [IMAGE_1, Medium(b"broken", Modality.IMAGE), Medium(b"crash", Modality.VIDEO), TEXT]
    good, broken, crashed, text = bank.encode(media)
    assert Modality.IMAGE in good.vectors
    assert Modality.TEXT in text.vectors
    assert broken.masked == {Modality.IMAGE: "broken"}
    assert broken.details == {Modality.IMAGE: "as asked"}
    assert not broken.vectors
    assert broken.fatal is None
    assert crashed.fatal == "ended three times"
    assert not crashed.vectors


def test_an_empty_text_is_masked(bank: EncoderBank) -> None:
    for content in (b"", b"  \n"):
        assert bank.encode([Medium(content, Modality.TEXT)])[0].masked == {Modality.TEXT: "empty"}


def test_lasting_failures_are_remembered_and_passing_ones_tried_again(
    bank: EncoderBank, pool: FakePool
) -> None:
    media = [Medium(word, Modality.IMAGE) for word in (b"broken", b"too_large", b"too_slow", b"crash")]
    bank.encode(media)
    encoded = bank.encode(media)
    assert pool.decoded[4:] == [b"too_slow", b"crash"]
    assert [one.masked.get(Modality.IMAGE) for one in encoded] == ["broken", "too_large", "too_slow", None]


def test_the_same_bytes_as_another_modality_are_another_medium(bank: EncoderBank, pool: FakePool) -> None:
    as_text, as_image = bank.encode([Medium(b"image-1", Modality.TEXT), IMAGE_1])
    assert set(as_text.vectors) == {Modality.TEXT}
    assert set(as_image.vectors) == {Modality.IMAGE}
    assert pool.decoded == [b"image-1"]


def test_a_sniffed_modality_counts_as_stated(bank: EncoderBank) -> None:
    stated, sniffed = bank.encode([TEXT, Medium(TEXT.content)])
    assert_same(stated, sniffed)


def test_what_cannot_be_told_is_masked_all_the_same(bank: EncoderBank) -> None:
    assert bank.encode([Medium(b"unsupported\x00\x01")])[0].masked


def test_what_is_at_hand_is_told_while_others_are_encoded(
    bank: EncoderBank, pool: FakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (known,) = bank.encode([IMAGE_1])
    forget(bank)
    told: list[Encoded] = []

    def ask(content: bytes) -> Decoded | MediumError | DecoderCrash:
        told.extend(bank.at_hand([bank.key(IMAGE_1)]).values())
        return SAMPLES[content]

    monkeypatch.setattr(pool, "_one", ask)
    bank.encode([IMAGE_2])
    assert_same(told[0], known)


def test_what_was_made_under_another_alignment_is_not_kept() -> None:
    remembered = Remembered()
    before = remembered.generation
    remembered.clear()
    remembered.keep({b"old": Encoded()}, before)
    remembered.keep({b"new": Encoded()}, remembered.generation)
    assert set(remembered.recall([b"old", b"new"])) == {b"new"}


def test_forgets_the_oldest_first(bank: EncoderBank, pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank, "_remembered", Remembered(2))
    bank._cache = None
    bank.encode([IMAGE_1, IMAGE_2])
    bank.encode([IMAGE_1])
    bank.encode([VIDEO])
    bank.encode([IMAGE_1])
    assert pool.decoded.count(b"image-1") == 1
    bank.encode([IMAGE_2])
    assert pool.decoded.count(b"image-2") == 2


def test_texts_by_the_shortcut_are_the_same(bank: EncoderBank, pool: FakePool) -> None:
    by_hand = bank.encode([TEXT])[0]
    forget(bank)
    bank._cache = None
    assert_same(bank.encode_texts([TEXT.content.decode()])[0], by_hand)
    assert bank.encode_texts(["\ud800 lone surrogate"])[0].vectors
    assert pool.calls == []


def test_an_encoder_that_gives_no_numbers_for_anything_is_an_error(
    bank: EncoderBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = bank._natives.text
    monkeypatch.setattr(
        encoder, "encode", lambda batch: np.full((len(batch), encoder.dim), np.nan, np.float32)
    )
    with pytest.raises(EncodersError, match="not finite"):
        bank.encode([TEXT])


def test_an_encoder_that_raises_on_everything_is_an_error(
    bank: EncoderBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(batch: Sequence[object]) -> np.ndarray:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(bank._natives.text, "encode", fail)
    with pytest.raises(EncodersError, match=r"encoders\.text use-multilingual is broken: .*no kernel image"):
        bank.encode([TEXT])


def fragile(bank: EncoderBank, monkeypatch: pytest.MonkeyPatch, bad: str, gives_nan: bool) -> None:
    """A text encoder that fails on batches with a certain text."""
    encode = bank._natives.text.encode

    def once_bad(batch: Sequence[str]) -> np.ndarray:
        if bad in batch and not gives_nan:
            raise ValueError("it cannot take that")
        vectors = encode(batch)
        vectors[[row for row, text in enumerate(batch) if text == bad]] = np.nan
        return vectors

    monkeypatch.setattr(bank._natives.text, "encode", once_bad)


@pytest.mark.parametrize("gives_nan", [False, True])
def test_a_medium_that_an_encoder_fails_on_fails_alone(
    bank: EncoderBank, monkeypatch: pytest.MonkeyPatch, gives_nan: bool
) -> None:
    media = [Medium(f"text {number}".encode(), Modality.TEXT) for number in range(9)]
    whole = bank.encode(media)
    forget(bank)
    cache = bank._cache = DictCache()
    fragile(bank, monkeypatch, "text 4", gives_nan)
    encoded = bank.encode([*media, IMAGE_1])
    assert encoded[4].masked == {Modality.TEXT: "encoder_failed"}
    assert encoded[4].details[Modality.TEXT]
    assert not encoded[4].vectors
    assert Modality.IMAGE in encoded[9].vectors
    for number in (*range(4), *range(5, 9)):
        assert_same(encoded[number], whole[number])
    assert bank.key(media[4]) not in cache.values
    assert len(cache.values) == 9
    assert bank.natives([media[4], media[5]])[0] is None


def test_late_media_go_on_beside_one_that_an_encoder_fails_on(
    bank: EncoderBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    fragile(bank, monkeypatch, "text 4", gives_nan=False)
    now = [0.0]
    late = LateMedia(MediaEncoder(bank, FakeFetcher(), 1.0), 5.0, lambda: now[0])
    bad, good = (Wanted(text=f"text {number}", modality=Modality.TEXT) for number in (4, 5))
    late.request([bad, good])
    now[0] += RETRY_SECONDS[0]
    late.try_due()
    assert set(late.take()) == {good}


def test_a_video_whose_sound_fails_is_seen_all_the_same(
    bank: EncoderBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = SAMPLES[b"video-1"].sound
    encode = bank._natives.audio.encode

    def deaf(batch: Sequence[np.ndarray]) -> np.ndarray:
        if any(one is samples for one in batch):
            raise ValueError("it cannot take that")
        return encode(batch)

    monkeypatch.setattr(bank._natives.audio, "encode", deaf)
    video, song = bank.encode([VIDEO, Medium(b"sound-1", Modality.AUDIO)])
    assert set(video.vectors) == {Modality.VIDEO}
    assert video.masked == {Modality.AUDIO: "encoder_failed"}
    assert not song.masked
    cache = bank._cache
    assert isinstance(cache, DictCache)
    assert bank.key(VIDEO) not in cache.values


@pytest.mark.parametrize(("error", "tries"), [(ValueError("odd"), 0), (MemoryError(), 1)])
def test_what_only_lacked_memory_is_tried_again(
    bank: EncoderBank, pool: FakePool, monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int
) -> None:
    def fail(batch: Sequence[np.ndarray]) -> np.ndarray:
        if any(one.shape == picture(1).shape and (one == picture(1)).all() for one in batch):
            raise error
        return np.ones((len(batch), bank._natives.image.dim), np.float32)

    with monkeypatch.context() as patch:
        patch.setattr(bank._natives.image, "encode_with_classes", lambda batch: (fail(batch), None))
        assert bank.encode([IMAGE_1])[0].masked
        assert bank.encode([IMAGE_1])[0].masked
    assert len(pool.decoded) == 1 + tries


def catalogue() -> list[list[Medium]]:
    words = ("red", "green", "blue", "grey")
    return [
        [
            Medium(f"{words[seed % 4]} squares {seed}".encode(), Modality.TEXT),
            Medium(f"image-{seed}".encode(), Modality.IMAGE),
        ]
        for seed in range(1, 13)
    ]


def test_another_alignment_needs_no_encoding(bank: EncoderBank, pool: FakePool) -> None:
    media = [medium for item in catalogue() for medium in item]
    before, version = bank.encode(media), bank.version
    decoded = len(pool.decoded)
    bank.use(fit_from_media(bank, catalogue()))
    after = bank.encode(media)
    assert len(pool.decoded) == decoded
    assert all(one.cached for one in after)
    assert bank.version != version
    assert bank.alignment.kind == "fitted"
    assert not np.allclose(before[0].vectors[Modality.TEXT], after[0].vectors[Modality.TEXT], atol=0.1)


def test_a_saved_alignment_serves_a_new_bank(bank: EncoderBank, tmp_path: Path) -> None:
    fitted = fit_from_media(bank, catalogue())
    save_alignment(fitted, tmp_path)
    settings = EncoderSettings(device="cpu", alignment=str(tmp_path))
    fresh = EncoderBank(settings, None, FakePool())
    assert fresh.alignment.version == fitted.version
    bank.use(fitted)
    assert fresh.version == bank.version
    assert_same(fresh.encode([IMAGE_1])[0], bank.encode([IMAGE_1])[0])


def test_an_alignment_for_other_encoders_is_refused(bank: EncoderBank) -> None:
    other = copy.copy(bank.builtin_alignment())
    other.encoders = {**other.encoders, Modality.AUDIO: "another-1"}
    version = bank.version
    with pytest.raises(ArtifactError, match="audio"):
        bank.use(other)
    assert bank.version == version


def test_the_version_speaks_of_limits_of_decoding(bank: EncoderBank) -> None:
    shorter = EncoderSettings(device="cpu", max_audio_seconds=5.0)
    other = EncoderBank(shorter, None, FakePool())
    assert other.version != bank.version
    assert other._keys.key(Medium(b"x", Modality.AUDIO)) != bank._keys.key(Medium(b"x", Modality.AUDIO))
    assert other._keys.key(Medium(b"x", Modality.VIDEO)) != bank._keys.key(Medium(b"x", Modality.VIDEO))
    assert other._keys.key(IMAGE_1) == bank._keys.key(IMAGE_1)
    assert other._keys.key(TEXT) == bank._keys.key(TEXT)
