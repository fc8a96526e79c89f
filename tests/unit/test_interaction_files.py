"""Interactions from files: what is read, what ratings become, and which line is told where one is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from state.errors import LearningError
from state.events import ACTIONS, Action
from state.learning.dataset import Dataset, content_of
from state.learning.reading import ReadingOptions, read_dataset
from tests.made_interactions import Size, made, write_recbole

HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"


def folder(tmp_path: Path, inter: str, item: str | None = None) -> Path:
    (tmp_path / "films.inter").write_text(inter, encoding="utf-8")
    if item is not None:
        (tmp_path / "films.item").write_text(item, encoding="utf-8")
    return tmp_path


def actions(dataset: Dataset) -> list[Action]:
    return [ACTIONS[code] for code in dataset.interactions.action.tolist()]


def test_a_recbole_folder_gives_events_in_order_and_what_is_told_of_items(tmp_path: Path) -> None:
    at = folder(
        tmp_path,
        HEADER + "ann\tm2\t1\t30\nbob\tm1\t3\t20\nann\tm1\t5\t10\n",
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "m1\tThe Äpfel\t1995\tDrama War\nm2\tBoats\tunknown\t\nm9\tNobody saw it\t1990\tDrama\n",
    )
    dataset = read_dataset(at)
    events = dataset.interactions
    assert dataset.name == "films"
    assert [events.user_ids[code] for code in events.user] == ["ann", "ann", "bob"]
    assert [events.item_ids[code] for code in events.item] == ["m1", "m2", "m1"]
    assert events.time_ms.tolist() == [10_000, 30_000, 20_000]
    assert actions(dataset) == [Action.LIKE, Action.DISLIKE, Action.VIEW]
    told = dict(zip(events.item_ids, zip(dataset.texts, dataset.topics, strict=True), strict=True))
    assert told == {"m1": ("The Äpfel. Drama War", ("Drama", "War")), "m2": ("Boats", ())}
    assert dataset.published_ms is not None
    published = dict(zip(events.item_ids, dataset.published_ms.tolist(), strict=True))
    assert published == {"m1": 788_918_400_000, "m2": 30_000}


def test_ratings_become_actions_by_the_rule_given(tmp_path: Path) -> None:
    at = folder(tmp_path, HEADER + "".join(f"ann\tm{r}\t{r}\t{r}\n" for r in range(1, 6)))
    assert actions(read_dataset(at, ReadingOptions(like_from=5, dislike_to=1))) == [
        Action.DISLIKE, Action.VIEW, Action.VIEW, Action.VIEW, Action.LIKE
    ]  # fmt: skip


def test_an_action_column_holds_whatever_the_rating_is(tmp_path: Path) -> None:
    columns = ("rating:float", "timestamp:float", "action:token", "watched_fraction:float")
    header = "\t".join(("user_id:token", "item_id:token", *columns)) + "\n"
    at = folder(tmp_path, header + "ann\tm1\t1\t1700000000000\tPurchase\t0.75\n")
    dataset = read_dataset(at)
    assert actions(dataset) == [Action.PURCHASE]
    assert dataset.interactions.time_ms.tolist() == [1_700_000_000_000]
    assert dataset.interactions.watched.tolist() == [0.75]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("user_id\titem_id:token\n", "line 1: 'user_id' is no typed column"),
        ("user_id:token\titem_id:token\n", "line 1: no column 'timestamp'"),
        (HEADER + "ann\tm1\t3\t1\nann\tm1\t3\n", "line 3: 3 cells, but the header names 4"),
        (HEADER + "ann\tm1\tgood\t1\n", "line 2: 'good' is no number"),
        (HEADER + "ann\tm1\t3\t\n", "line 2: timestamp '' is no time"),
        (HEADER + "\tm1\t3\t1\n", "line 2: user_id and item_id may not be empty"),
        (
            "user_id:token\titem_id:token\ttimestamp:float\taction:token\nann\tm1\t1\tstare\n",
            "line 2: unknown action 'stare'",
        ),
        (HEADER, "no event is left"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(LearningError) as caught:
        read_dataset(folder(tmp_path, content))
    assert told in str(caught.value)
    assert "films" in str(caught.value)


def test_bytes_that_are_no_utf8_are_refused_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "films.inter").write_bytes(HEADER.encode() + b"ann\t\xff\t3\t1\n")
    with pytest.raises(LearningError, match=r"films\.inter.*UTF-8|films\.inter.*utf-8"):
        read_dataset(tmp_path)


def test_a_folder_without_one_inter_file_and_a_strange_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="found none"):
        read_dataset(tmp_path)
    with pytest.raises(LearningError, match="no such file"):
        read_dataset(tmp_path / "nothing")
    (tmp_path / "events.csv").write_text("")
    with pytest.raises(LearningError, match="wanted a folder"):
        read_dataset(tmp_path / "events.csv")


def test_the_core_leaves_users_and_items_with_enough_events_alone(tmp_path: Path) -> None:
    events = [("ann", "a"), ("ann", "b"), ("bob", "a"), ("bob", "b"), ("cleo", "c"), ("cleo", "a")]
    lines = "".join(f"{user}\t{item}\t3\t{time}\n" for time, (user, item) in enumerate(events, 1))
    left = read_dataset(folder(tmp_path, HEADER + lines), ReadingOptions(min_user=2, min_item=2)).interactions
    # c goes for having one event, then cleo, who has one left.
    assert (left.user_ids, left.item_ids) == (("ann", "bob"), ("a", "b"))
    assert left.item.tolist() == [0, 1, 0, 1]


def test_json_lines_of_our_own_records_are_read_with_their_items(tmp_path: Path) -> None:
    events = [
        {
            "user_id": "ann",
            "action": "like",
            "timestamp": "2026-01-01T00:00:00Z",
            "item_id": "a",
            "value": 4.5,
        },
        {"user_id": "ann", "action": "search", "timestamp": 1, "text": "boats"},
        {
            "user_id": "ann",
            "action": "view",
            "timestamp": 5,
            "item_id": "b",
            "dwell_seconds": 7.0,
            "watched_fraction": 0.5,
            "else": 1,
        },
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    item = {"item_id": "a", "title": "Apples", "tags": ["red"], "categories": ["fruit"],
            "published_at": "2025-01-01T00:00:00+01:00"}  # fmt: skip
    (tmp_path / "items.jsonl").write_text(json.dumps(item) + "\n")
    dataset = read_dataset(tmp_path / "events.jsonl")
    assert actions(dataset) == [Action.VIEW, Action.LIKE]
    assert dataset.interactions.time_ms.tolist() == [5, 1_767_225_600_000]
    assert dataset.interactions.dwell[0] == 7.0
    assert dataset.interactions.watched[0] == 0.5
    assert np.isnan(dataset.interactions.watched[1])
    assert np.isnan(dataset.interactions.value[0])
    assert dataset.interactions.value[1] == 4.5
    assert dict(zip(dataset.interactions.item_ids, dataset.texts, strict=True)) == {
        "a": "Apples. fruit red",
        "b": "",
    }


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2:"),
        ('{"user_id": "a", "item_id": "b", "action": "like"}', "line 2:"),
        ('{"user_id": "a", "item_id": "b", "action": "stare", "timestamp": 1}', "unknown action"),
        ('{"user_id": "a", "item_id": "b", "action": "like", "timestamp": "noon"}', "nor RFC 3339"),
        ('{"user_id": "a", "item_id": "b", "action": "like", "timestamp": "2026-01-01T00:00:00"}', "offset"),
    ],
)
def test_a_wrong_line_of_json_is_named(tmp_path: Path, line: str, told: str) -> None:
    good = '{"user_id": "a", "item_id": "b", "action": "like", "timestamp": 1}\n'
    (tmp_path / "events.jsonl").write_text(good + line)
    with pytest.raises(LearningError) as caught:
        read_dataset(tmp_path / "events.jsonl")
    assert told in str(caught.value)
    assert "events.jsonl: line 2" in str(caught.value)


def test_parquet_is_read_like_the_same_json_lines(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    import pyarrow
    from pyarrow.parquet import write_table

    moment = datetime(2026, 1, 1, tzinfo=UTC)
    table = {
        "user_id": ["ann", "ann", "bob"],
        "item_id": ["a", "b", "a"],
        "timestamp": [moment, moment.replace(hour=1), moment],
        "action": ["like", None, "skip"],
        "rating": [None, 1.0, 3.0],
        "watched_fraction": [None, None, 0.5],
    }
    write_table(pyarrow.table(table), tmp_path / "events.parquet")
    dataset = read_dataset(tmp_path / "events.parquet")
    assert actions(dataset) == [Action.LIKE, Action.DISLIKE, Action.SKIP]
    assert dataset.interactions.time_ms.tolist() == [1_767_225_600_000, 1_767_229_200_000, 1_767_225_600_000]
    assert dataset.interactions.watched[2] == 0.5
    write_table(pyarrow.table({**table, "item_id": ["a", None, "b"]}), tmp_path / "holes.parquet")
    with pytest.raises(LearningError, match=r"holes\.parquet: row 2: .* may not be empty"):
        read_dataset(tmp_path / "holes.parquet")
    write_table(pyarrow.table({"user_id": ["a"]}), tmp_path / "less.parquet")
    with pytest.raises(LearningError, match="no column item_id, timestamp"):
        read_dataset(tmp_path / "less.parquet")
    (tmp_path / "no.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(LearningError, match=r"no\.parquet"):
        read_dataset(tmp_path / "no.parquet")


def test_a_made_up_folder_comes_back_as_it_was_made(tmp_path: Path) -> None:
    size = Size(20, 40, 300)
    write_recbole(tmp_path, size)
    world, read = made(size), read_dataset(tmp_path)
    order = np.lexsort((world.time_ms, world.user))
    events = read.interactions
    assert sorted(
        zip((events.user_ids[code] for code in events.user), events.time_ms.tolist(), strict=True)
    ) == sorted(
        zip((f"user-{code}" for code in world.user), (world.time_ms // 1000 * 1000).tolist(), strict=True)
    )
    assert len(order) == len(events)
    assert all(read.texts)


def test_content_is_made_of_the_texts_that_there_are(tmp_path: Path) -> None:
    at = folder(
        tmp_path,
        HEADER + "ann\tm1\t3\t1\nann\tm2\t3\t2\n",
        "item_id:token\ttitle:token_seq\nm1\tBoats\nm2\t\n",
    )
    dataset = read_dataset(at)
    asked: list[str] = []

    def encode(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return np.eye(128, dtype=np.float32)[: len(texts)]

    content = content_of(dataset, encode)
    assert content is not None
    assert asked == ["Boats"]
    assert content.present.tolist() == [[True, False, False, False], [False] * 4]
    (at / "films.item").unlink()
    assert content_of(read_dataset(at), encode) is None


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            ("events.jsonl", "items.jsonl"),
            "name the file, here {folder}/events.jsonl, with items.jsonl beside it",
        ),
        (("b.parquet", "a.ndjson"), "name the file, here {folder}/a.ndjson, with items.jsonl beside it"),
        ((), "JSON lines and Parquet are named as a file, with items.jsonl beside it"),
        (("items.jsonl",), "JSON lines and Parquet are named as a file, with items.jsonl beside it"),
    ],
)
def test_a_folder_without_a_recbole_file_says_how_others_are_named(
    tmp_path: Path, names: tuple[str, ...], told: str
) -> None:
    for name in names:
        (tmp_path / name).write_text("")
    with pytest.raises(LearningError) as caught:
        read_dataset(tmp_path)
    assert "wanted one file NAME.inter, found none" in str(caught.value)
    assert told.format(folder=tmp_path) in str(caught.value)
