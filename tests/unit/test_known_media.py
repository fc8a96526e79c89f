"""The front of the vector cache: what is known needs no download, and nothing wrong is taken for known."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_server import BODY, MediaServer, running

from encoders.bank import EncoderBank
from encoders.base import Encoded, Medium, Modality
from encoders.errors import MediumError
from encoders.fetch import Fetcher
from encoders.hub.settings import HubModel
from encoders.known_media import KnownMedia, Reference, Resolved
from encoders.media.text import decode_text
from encoders.settings import EncoderSettings, FetchSettings
from encoders.vector_cache import VectorCache
from streams.encode.media import MediaEncoder, Wanted
from tests import tiny_models
from tests.unit.test_bank import DictCache, FakePool

OPEN = FetchSettings(schemes=("http", "file", "data"), allow_private_addresses=True)
BUDGET = 30.0


class Bank:
    """Has at hand what was encoded."""

    def __init__(self) -> None:
        self.encoded: dict[bytes, Encoded] = {}

    def key(self, medium: Medium) -> bytes:
        return b"%d " % len(medium.content) + medium.content[-5:]

    def at_hand(self, keys: list[bytes]) -> dict[bytes, Encoded]:
        return {key: self.encoded[key] for key in keys if key in self.encoded}

    def encode(self, resolved: Resolved) -> None:
        assert isinstance(resolved.found, Medium)
        self.encoded[self.key(resolved.found)] = Encoded()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[MediaServer]:
    with running() as server:
        yield server


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    fetcher = Fetcher(OPEN)
    yield fetcher
    fetcher.close()


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(bank: Bank, fetcher: Fetcher, clock: Clock) -> KnownMedia:
    return KnownMedia(bank, fetcher, DictCache(), clock)


def resolve(known: KnownMedia, uri: str, **more: Any) -> Resolved:
    (resolved,) = known.resolve([Reference(uri, **more)], BUDGET)
    return resolved


def test_a_fresh_reference_is_asked_of_nobody(
    known: KnownMedia, bank: Bank, server: MediaServer, clock: Clock
) -> None:
    uri = f"{server.url}/copy/fresh"
    first = resolve(known, uri)
    assert first == ("fetched", Medium(BODY, None, uri))
    bank.encode(first)
    assert resolve(known, uri).outcome == "fresh"
    clock.now += OPEN.fresh_seconds - 1
    assert resolve(known, uri).outcome == "fresh"
    assert server.asked["/copy/fresh"] == 1
    clock.now += 1
    assert resolve(known, uri).outcome == "fetched"


def test_a_reference_that_is_not_fresh_is_not_sent_again(
    known: KnownMedia, bank: Bank, server: MediaServer, clock: Clock
) -> None:
    uri = f"{server.url}/tagged"
    server.tag = '"one"'
    bank.encode(resolve(known, uri))
    clock.now += 1_000
    assert resolve(known, uri) == ("unchanged", Encoded())
    # What was confirmed is fresh anew.
    assert resolve(known, uri).outcome == "fresh"
    clock.now += 1_000
    server.tag = '"two"'
    changed = resolve(known, uri)
    assert (changed.outcome, changed.found.content[-5:]) == ("fetched", b'"two"')  # type: ignore[union-attr]


def test_of_a_private_reference_nothing_goes_to_the_disk(
    bank: Bank, fetcher: Fetcher, server: MediaServer, clock: Clock
) -> None:
    """It is known all the same, as long as this lives; shown by others it is known for longer."""
    uri, disk = f"{server.url}/copy/fresh", DictCache()
    known = KnownMedia(bank, fetcher, disk, clock)
    bank.encode(resolve(known, uri, private=True))
    assert resolve(known, uri, private=True).outcome == "fresh"
    assert disk.values == {}
    assert resolve(known, uri).outcome == "fresh"
    assert resolve(KnownMedia(bank, fetcher, disk, clock), uri).outcome == "fetched"
    assert len(disk.values) == 1
    assert resolve(KnownMedia(bank, fetcher, disk, clock), uri, private=True).outcome == "fresh"


def test_what_could_not_be_encoded_is_fetched_again(known: KnownMedia, server: MediaServer) -> None:
    uri = f"{server.url}/copy/lost"
    assert [resolve(known, uri).outcome for _ in range(2)] == ["fetched", "fetched"]


def test_what_was_verified_once_needs_no_source(
    known: KnownMedia, bank: Bank, server: MediaServer, clock: Clock
) -> None:
    import hashlib

    uri, sha256 = f"{server.url}/copy/verified", hashlib.sha256(BODY).hexdigest()
    bank.encode(resolve(known, uri, sha256=sha256))
    clock.now += 1e9
    assert resolve(known, uri, sha256=sha256).outcome == "fresh"
    assert server.asked["/copy/verified"] == 1
    wrong = resolve(known, uri, sha256="0" * 64)
    assert wrong.outcome == "checksum"


def test_another_modality_is_another_reference(known: KnownMedia, bank: Bank, server: MediaServer) -> None:
    uri = f"{server.url}/copy/modality"
    bank.encode(resolve(known, uri, modality=Modality.IMAGE))
    assert resolve(known, uri, modality=Modality.AUDIO).outcome == "fetched"


def test_a_source_that_does_not_answer_in_time_is_done_without(
    known: KnownMedia, bank: Bank, server: MediaServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"{server.url}/copy/slow"
    bank.encode(resolve(known, uri))
    clock.now += 1_000
    slow = [MediumError("too_slow", "not fetched within the budget")]
    monkeypatch.setattr(known._fetcher, "answers", lambda *rest: slow)
    assert resolve(known, uri) == ("stale", Encoded())
    assert resolve(known, f"{server.url}/copy/unknown").outcome == "too_slow"


def test_what_is_gone_is_gone(known: KnownMedia, bank: Bank, server: MediaServer, clock: Clock) -> None:
    uri = f"{server.url}/copy/gone"
    bank.encode(resolve(known, uri))
    clock.now += 1_000
    failing = [MediumError("missing", "HTTP 404")]
    known._fetcher.answers = lambda *rest: failing  # type: ignore[method-assign]
    assert resolve(known, uri).outcome == "missing"


def test_settings_that_forbid_a_reference_win_over_what_is_known(
    bank: Bank, server: MediaServer, clock: Clock, tmp_path: Path
) -> None:
    """The front outlives a change of settings: it must not go on serving what they refuse now."""
    store = DictCache()
    (tmp_path / "a.txt").write_bytes(b"content")
    uris = [f"{server.url}/copy/policy", (tmp_path / "a.txt").as_uri()]
    before = Fetcher(FetchSettings(schemes=("http", "file"), allow_private_addresses=True,
                                   file_roots=(str(tmp_path),)))  # fmt: skip
    for uri in uris:
        resolved = resolve(KnownMedia(bank, before, store, clock), uri)
        assert resolved.outcome == "fetched"
        bank.encode(resolved)
    before.close()
    after = Fetcher(FetchSettings(schemes=("http", "file"), hosts=("others.test",)))
    assert [resolve(KnownMedia(bank, after, store, clock), uri).outcome for uri in uris] == ["refused"] * 2
    after.close()


def test_files_are_looked_at_each_time(bank: Bank, clock: Clock, tmp_path: Path) -> None:
    fetcher = Fetcher(FetchSettings(file_roots=(str(tmp_path),)))
    known = KnownMedia(bank, fetcher, DictCache(), clock)
    path = tmp_path / "a.txt"
    path.write_bytes(b"first")
    bank.encode(resolve(known, path.as_uri()))
    assert resolve(known, path.as_uri()).outcome == "unchanged"
    (tmp_path / "b.txt").write_bytes(b"second")
    (tmp_path / "b.txt").replace(path)
    assert resolve(known, path.as_uri()).outcome == "fetched"
    path.unlink()
    assert resolve(known, path.as_uri()).outcome == "missing"
    fetcher.close()


def test_order_repetition_and_odd_entries(bank: Bank, fetcher: Fetcher, server: MediaServer) -> None:
    store = DictCache()
    known = KnownMedia(bank, fetcher, store)
    references = [Reference("data:,a"), Reference(f"{server.url}/none"), Reference("data:,a"), Reference("")]
    assert [one.outcome for one in known.resolve(references, BUDGET)] == [
        "fetched", "missing", "fetched", "refused",
    ]  # fmt: skip
    assert known.resolve([], BUDGET) == []
    uri = f"{server.url}/copy/odd"
    resolve(known, uri)
    for content in (b"", b"\xc1", b"\x93\xa1a\xc0\xc0", b"\x80"):
        store.values = dict.fromkeys(store.values, content)
        assert resolve(known, uri).outcome == "fetched"


class TextPool(FakePool):
    """Texts that come by reference are decoded as such."""

    def _one(self, content: bytes) -> Any:  # type: ignore[override]
        from encoders.media.decoded import Decoded

        return Decoded(Modality.TEXT, text=decode_text(content, 1_000))


def media(cache: VectorCache, text: str, fetcher: Fetcher) -> MediaEncoder:
    models = {
        name: HubModel(model=str(tiny_models.tiny(name))) for name in ("bert", "sentence", "vit", "ast")
    }
    settings = EncoderSettings(device="cpu", text=text, image="vit", audio="ast", models=models)
    bank = EncoderBank(settings, cache, TextPool())
    return MediaEncoder(bank, fetcher, BUDGET, KnownMedia(bank, fetcher, cache))


def test_a_warm_start_downloads_nothing_and_other_encoders_everything(
    fetcher: Fetcher, server: MediaServer, tmp_path: Path
) -> None:
    wanted = Wanted(uri=f"{server.url}/tagged", modality=Modality.TEXT)
    asked = server.asked["/tagged"]
    vectors: list[np.ndarray[Any, Any]] = []
    for text, downloads in (("bert", 1), ("bert", 1), ("sentence", 2), ("sentence", 2), ("bert", 3)):
        cache = VectorCache(tmp_path / "vectors", 1 << 20)
        encoded = media(cache, text, fetcher).encode([wanted]).encoded[wanted]
        cache.close()
        vectors.append(encoded.vectors[Modality.TEXT])
        assert server.asked["/tagged"] - asked == downloads
    np.testing.assert_array_equal(vectors[0], vectors[1])
    np.testing.assert_array_equal(vectors[0], vectors[4])
    assert np.abs(vectors[0] - vectors[2]).max() > 0.01
