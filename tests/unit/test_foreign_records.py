"""Bytes that have the form of our records, with text that is no UTF-8: set aside like any other nonsense."""

import msgspec
import pytest

from state.errors import CodecError
from state.events import Pack, Row
from state.fusion import Fusion
from state.items import EncodedItem
from state.prior import content_prior
from state.trending import ItemDelta, add, decode_signal, encode_signal
from streams.errors import RecordError
from streams.interests.processor import InterestsProcessor
from streams.interests.signals import SignalsProcessor
from streams.item_vectors.loop import vectors_of
from streams.labels import Shelf
from streams.models.serving import processor_of
from streams.raw import RawRecord
from streams.settings import Settings

NAME, BROKEN = b"item-7", b"item-\xff"


def broken(value: bytes) -> bytes:
    assert NAME in value
    return value.replace(NAME, BROKEN)


def encoded_item() -> bytes:
    return broken(msgspec.msgpack.encode(EncodedItem(NAME.decode(), 0, 0)))


def test_a_pack() -> None:
    value = broken(msgspec.msgpack.encode(Pack(0, 1, [Row("ann", "e", 0, 1, 0, 1, NAME.decode())])))
    _, processor = processor_of(Settings(), content_prior())
    assert isinstance(processor._inner, InterestsProcessor)
    with pytest.raises(RecordError, match="utf-8"):
        processor.decode(value)


def test_a_delta_of_an_item() -> None:
    value = broken(msgspec.msgpack.encode(ItemDelta(NAME.decode(), 0, {0: 1})))
    with pytest.raises(RecordError, match="utf-8"):
        SignalsProcessor(Settings()).decode(value)


def test_a_signal_of_an_item() -> None:
    signal = encode_signal(add(None, ItemDelta(NAME.decode(), 0, {0: 1}), 1.0))
    assert decode_signal(signal).item_id == NAME.decode()
    with pytest.raises(CodecError):
        decode_signal(broken(signal))


def test_an_item_gives_no_vector() -> None:
    record = RawRecord("items.encoded", 0, 0, 0, b"key", encoded_item())
    assert vectors_of(Fusion(content_prior()), [record]) == []


def test_an_item_gives_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    record = RawRecord("items.encoded", 0, 0, 0, b"key", encoded_item())
    monkeypatch.setattr("streams.labels.read", lambda *_: [record])
    assert Shelf.read(Settings(), []).ids == []
