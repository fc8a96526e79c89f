"""Files of interactions that are broken or odd: one error with file, line and what is wrong."""

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from state.errors import LearningError
from state.learning.reading import ReadingOptions, read_dataset

EVENT = {"user_id": "ann", "action": "view", "timestamp": 1_700_000_000_000, "item_id": "m1"}
HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"


def lines(folder: Path, content: bytes, items: bytes | None = None) -> Path:
    path = folder / "events.jsonl"
    path.write_bytes(content)
    if items is not None:
        (folder / "items.jsonl").write_bytes(items)
    return path


def event(**changes: object) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (event() + b'\n{"user_id": "\xff", "action"', "line 2: not UTF-8"),
        (event()[:-1] + b', "context": ' + b"[" * 100_000, "line 1: nested too deeply"),
        (event(timestamp=10**19), "line 1: timestamp 10000000000000000000 is beyond the year 9999"),
        (event(timestamp=1e300), "line 1: timestamp 1e+300 is beyond the year 9999"),
        (event(timestamp=1_700_000_000_000_000_000), "beyond the year 9999: milliseconds are wanted"),
        (event(timestamp="1960-01-01T00:00:00Z"), "line 1: timestamp '1960-01-01T00:00:00Z' is before 1970"),
        (event(timestamp=-1), "line 1: timestamp -1 is before 1970"),
        (event(timestamp="2020-01-01"), "line 1: timestamp '2020-01-01' is neither epoch milliseconds nor"),
        (event(user_id=""), "line 1: user_id must have 1 to 512 characters"),
        (event(item_id="i" * 10_000), "line 1: item_id must have 1 to 512 characters"),
        (event(value=1e39), "line 1: value 1e+39 is too large"),
        (event(dwell_seconds=-5), "line 1: dwell_seconds -5.0 is negative"),
        (event(watched_fraction=7), "line 1: watched_fraction 7.0 is no part: 0 to 1 is wanted"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(LearningError) as raised:
        read_dataset(lines(tmp_path, content))
    assert told in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path / 'events.jsonl'}: line ")


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (b'{"item_id": "\xff"}', "line 1: not UTF-8"),
        (b'{"item_id": "m1", "published_at": 1e19}', "line 1: published_at 1e+19 is beyond the year 9999"),
    ],
)
def test_a_broken_line_of_items_is_named(tmp_path: Path, items: bytes, told: str) -> None:
    with pytest.raises(LearningError) as raised:
        read_dataset(lines(tmp_path, event(), items))
    assert str(raised.value).startswith(f"{tmp_path / 'items.jsonl'}: {told}")


def test_times_are_read_as_the_topic_has_them(tmp_path: Path) -> None:
    told = ("1700000000000", "2016-12-31T23:59:60Z", "2020-01-01T02:00:00+02:00")
    content = b"\n".join(event(user_id=str(place), timestamp=time) for place, time in enumerate(told))
    dataset = read_dataset(
        lines(tmp_path, content, b'{"item_id": "m1", "published_at": "1902-01-01T00:00:00Z"}')
    )
    assert dataset.interactions.time_ms.tolist() == [1_700_000_000_000, 1_483_228_800_000, 1_577_836_800_000]
    assert dataset.published_ms is not None
    assert dataset.published_ms.tolist() == [-2_145_916_800_000]


def test_a_mark_of_the_encoding_at_the_start_is_passed_over(tmp_path: Path) -> None:
    mark = "\ufeff".encode()
    assert len(read_dataset(lines(tmp_path, mark + event())).interactions) == 1
    (tmp_path / "films.inter").write_bytes(mark + HEADER.encode() + b"ann\tm1\t5\t1\n")
    assert len(read_dataset(tmp_path).interactions) == 1


def table(folder: Path, content: bytes, items: str | None = None) -> Path:
    (folder / "films.inter").write_bytes(content)
    if items is not None:
        (folder / "films.item").write_text(items)
    return folder


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (HEADER.encode() + b"ann\tm1\t5\t1\n\xff\tm1\t5\t1\n", "line 3: not UTF-8"),
        (b"user_id:token\t\xff\n", "line 1: not UTF-8"),
        (HEADER.encode() + b"ann\tm1\t5\t1e300\n", "line 2: timestamp '1e300' is beyond the year 9999"),
        (HEADER.encode() + b"ann\tm1\t5\t-5\n", "line 2: timestamp '-5' is before 1970"),
        (HEADER.encode() + b"ann\tm1\t1e300\t5\n", "line 2: rating '1e300' is too large"),
        (
            b"user_id:token\tuser_id:token\titem_id:token\ttimestamp:float\nann\tbob\tm1\t1\n",
            "line 1: two columns 'user_id'",
        ),
        (b"user_id:float\titem_id:token\ttimestamp:float\n1.0\tm1\t1\n", "line 1: 'user_id' must be a token"),
        (HEADER.encode() + b"a" * 600 + b"\tm1\t5\t1\n", "line 2: user_id must have 1 to 512 characters"),
    ],
)
def test_a_broken_table_is_told_with_its_line(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(LearningError) as raised:
        read_dataset(table(tmp_path, content))
    assert str(raised.value).startswith(f"{tmp_path / 'films.inter'}: {told}")


def test_an_item_published_beyond_all_times_is_told_with_its_line(tmp_path: Path) -> None:
    table(tmp_path, HEADER.encode() + b"ann\tm1\t5\t1\n", "item_id:token\ttimestamp:float\nm1\t1e300\n")
    with pytest.raises(
        LearningError, match=r"films\.item: line 2: timestamp '1e300' is beyond the year 9999"
    ):
        read_dataset(tmp_path)


def test_of_two_tables_in_a_folder_the_one_named_is_read(tmp_path: Path) -> None:
    (tmp_path / "other.inter").write_text(HEADER + "bob\tm9\t5\t1\nbob\tm8\t5\t2\n")
    table(tmp_path, HEADER.encode() + b"ann\tm1\t5\t1\n")
    assert read_dataset(tmp_path / "films.inter").interactions.user_ids == ("ann",)
    with pytest.raises(LearningError, match=r"wanted one file NAME\.inter, found films\.inter, other\.inter"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"user_id": [1.0]}, "row 1: user_id is float: text or a whole number is wanted"),
        ({"item_id": [b"m1"]}, "row 1: item_id is bytes: text or a whole number is wanted"),
        ({"user_id": [""]}, "row 1: user_id must have 1 to 512 characters"),
        ({"timestamp": pa.array([2**62], pa.timestamp("us"))}, "rows 1 to 1: "),
        (
            {"timestamp": pa.array([2**64 - 1], pa.uint64())},
            "row 1: timestamp 18446744073709551615 is beyond",
        ),
        ({"timestamp": [True]}, "row 1: 'True' is no time"),
        ({"timestamp": pa.array([1], pa.timestamp("us", "Nowhere/City"))}, "rows 1 to 1: "),
        ({"timestamp": [datetime(1960, 1, 1)]}, "row 1: timestamp '1960-01-01 00:00:00' is before 1970"),
        ({"watched_fraction": [-0.5]}, "row 1: watched_fraction -0.5 is no part: 0 to 1 is wanted"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, columns: dict[str, Any], told: str) -> None:
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"user_id": ["ann"], "item_id": ["m1"], "timestamp": [1], **columns}), path)
    with pytest.raises(LearningError) as raised:
        read_dataset(path)
    assert str(raised.value).startswith(f"{path}: {told}")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path, names = tmp_path / "events.parquet", ["user_id", "user_id", "item_id", "timestamp"]
    arrays = [pa.array([each]) for each in ("ann", "bob", "m1", 1)]
    pq.write_table(pa.Table.from_arrays(arrays, names=names), path)
    with pytest.raises(LearningError, match=r"events\.parquet: two columns user_id"):
        read_dataset(path)


def test_a_row_without_a_value_has_its_rating(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    columns = {"user_id": ["ann", "bob"], "item_id": ["m1", "m1"], "timestamp": [1, 2]}
    pq.write_table(pa.table({**columns, "value": [None, 1.0], "rating": [5.0, 4.0]}), path)
    np.testing.assert_array_equal(read_dataset(path).interactions.value, [5.0, 1.0])


@pytest.mark.parametrize(("like", "dislike"), [(2.0, 4.0), (3.0, 3.0), (math.nan, 2.0)])
def test_a_rating_cannot_be_a_like_and_a_dislike(tmp_path: Path, like: float, dislike: float) -> None:
    with pytest.raises(LearningError, match="--like-from must be above --dislike-to"):
        read_dataset(lines(tmp_path, event()), ReadingOptions(like, dislike))
