"""Packs cover every raw offset exactly once, whatever comes and however it is cut into batches."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from state.events import Pack, Row
from streams.encode.item_view import ItemView
from streams.encode.packs import NO_RANGE, ROWS_PER_PACK, Border, cut_packs, encode_pack
from streams.encode.stage import EncodeStage
from streams.raw import RawRecord
from streams.settings import Settings
from tests.fake_media import fake_media

NOW = 1_700_000_000_000
GOOD = b'{"user_id":"u","action":"view","timestamp":1,"text":"x"}'
ODD = (b"", None, b"[]", GOOD.replace(b"view", b"stare"), GOOD.replace(b'"u"', b'"v"'))

LOG = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 5), st.sampled_from((GOOD, GOOD, *ODD))), max_size=60
)


@given(LOG, st.lists(st.integers(1, 40), max_size=20))
def test_every_offset_is_covered_once(log: list[tuple[int, int, bytes | None]], cuts: list[int]) -> None:
    """Offsets of each partition grow in steps of 1 to 5, as markers and compaction leave them."""
    records: list[RawRecord] = []
    ends = dict.fromkeys(range(4), 0)
    for partition, gap, value in log:
        offset = ends[partition] + gap - 1
        ends[partition] = offset + 1
        records.append(RawRecord("interactions", partition, offset, NOW, b"u", value))
    packs = run_in_batches(records, cuts)
    good = {(r.partition, r.offset) for r in records if r.value == GOOD}
    for partition, end in ends.items():
        at = 0
        for pack in packs.get(partition, []):
            assert pack.first == at
            assert pack.end > pack.first
            offsets = [row.offset for row in pack.rows]
            assert offsets == sorted(set(offsets))
            assert all(pack.first <= offset < pack.end for offset in offsets)
            at = pack.end
        assert at == end
        assert [(partition, row.offset) for pack in packs.get(partition, []) for row in pack.rows] == sorted(
            place for place in good if place[0] == partition
        )


def run_in_batches(records: list[RawRecord], cuts: list[int]) -> dict[int, list[Pack]]:
    stage = EncodeStage(Settings(), fake_media(), ItemView())
    borders = dict.fromkeys(range(4), Border(0))
    packs: dict[int, list[Pack]] = {}
    while records:
        size = cuts.pop() if cuts else len(records)
        batch, records = records[:size], records[size:]
        outcome = stage.process(batch, borders)
        stage.settle(outcome)
        for partition, value in outcome.packs:
            pack = msgspec.msgpack.decode(value, type=Pack)
            packs.setdefault(partition, []).append(pack)
            borders[partition] = Border(pack.end)
    return packs


def make_row(offset: int, text: str = "") -> Row:
    return Row("u", f"e{offset}", 0, NOW, offset, NOW, text=text)


def test_many_rows_make_several_packs() -> None:
    packs = cut_packs(Border(5), 400, [make_row(offset) for offset in range(10, 310, 2)])
    assert [len(pack.rows) for pack in packs] == [ROWS_PER_PACK, ROWS_PER_PACK, 22]
    assert [(pack.first, pack.end) for pack in packs] == [(5, 137), (137, 265), (265, 400)]


def test_nothing_survived() -> None:
    assert cut_packs(Border(5), 9, []) == [Pack(5, 9, [])]
    assert cut_packs(Border(5), 5, []) == []


def test_a_pack_too_large_for_a_record_is_split() -> None:
    (pack,) = cut_packs(Border(0), 50, [make_row(offset, "x" * 100_000) for offset in range(30)])
    parts = [msgspec.msgpack.decode(value, type=Pack) for value in encode_pack(pack)]
    assert len(parts) == 4
    assert [part.first for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end == 50
    assert [row.offset for part in parts for row in part.rows] == list(range(30))


def test_a_pack_of_corrections_stays_without_a_range_when_split() -> None:
    (pack,) = cut_packs(NO_RANGE, -1, [make_row(-1, "x" * 100_000) for _ in range(30)])
    parts = [msgspec.msgpack.decode(value, type=Pack) for value in encode_pack(pack)]
    assert {(part.first, part.end) for part in parts} == {(-1, -1)}
    assert sum(len(part.rows) for part in parts) == 30


def test_many_corrections_make_several_packs_without_a_range() -> None:
    packs = cut_packs(NO_RANGE, -1, [make_row(-1) for _ in range(150)])
    assert [len(pack.rows) for pack in packs] == [ROWS_PER_PACK, ROWS_PER_PACK, 22]
    assert {(pack.first, pack.end) for pack in packs} == {(-1, -1)}
