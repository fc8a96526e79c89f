"""The live table: what it keeps, counts and shows."""

import io

import pytest
from rich.console import Console

from streams.live_table import LiveTable, interest_line, printable, slate_line
from streams.records import Interest, Recommendation, RecommendedItem


def interest(user: str = "u", version: int = 1, events: int = 1, **fields: object) -> Interest:
    base: dict[str, object] = {
        "timestamp": 0,
        "model": "m",
        "vector": [],
        "heads": [],
        "topics": {"cats": 0.5, "dogs": 0.25},
        "modalities": {"image": 0.75, "text": 0.25},
        "event_count": 7,
        "caused_by": [f"e{number}" for number in range(events)],
        "as_of": {},
    }
    return Interest(user_id=user, version=version, **{**base, **fields})  # type: ignore[arg-type]


def slate(user: str = "u", version: int = 1, *items: str) -> Recommendation:
    places = [RecommendedItem(item, 0.5, rank, "interest") for rank, item in enumerate(items or ("a", "b"))]
    return Recommendation(user, version, 0, "m", places, [])


def shown(table: LiveTable, now: float = 0.0) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table.render(now))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_row_has_what_is_known_of_the_user() -> None:
    table = LiveTable({"a": "Tabby"}, caption="Ctrl-C ends")
    table.see_interest(interest(), 0.0)
    table.see_recommendation(slate())
    text = shown(table)
    for part in ("u", "7", "cats 0.50, dogs 0.25", "image 75%, text 25%", "Tabby, b", "Ctrl-C ends"):
        assert part in text


def test_a_slate_may_come_before_its_interest() -> None:
    table = LiveTable({})
    table.see_recommendation(slate("early"))
    assert "early" in shown(table)


def test_a_version_seen_twice_counts_once() -> None:
    table = LiveTable({})
    assert table.see_interest(interest(version=2, events=3), 0.0)
    assert not table.see_interest(interest(version=2, events=3), 0.0)
    assert not table.see_interest(interest(version=1, events=3), 0.0)
    assert table.summary(0.0).events == 3
    assert table.see_recommendation(slate(version=2))
    assert not table.see_recommendation(slate(version=2))


def test_the_users_that_changed_last_stay_newest_first() -> None:
    table = LiveTable({}, rows=2)
    for user, version in (("anna", 1), ("bert", 1), ("cleo", 1), ("bert", 2)):
        table.see_interest(interest(user, version), 0.0)
    text = shown(table)
    assert "anna" not in text
    assert text.index("bert") < text.index("cleo")
    assert table.summary(0.0).users == 3


def test_the_rate_is_of_the_last_ten_seconds() -> None:
    table = LiveTable({})
    table.see_interest(interest(version=1, events=50, event_count=50), 0.0)
    table.see_interest(interest(version=2, events=1, event_count=80), 8.0)
    assert table.summary(8.0).events_per_second == 8.0
    assert table.summary(12.0).events_per_second == 3.0
    assert table.summary(30.0).events_per_second == 0.0


def test_freshness_quantiles() -> None:
    table = LiveTable({})
    assert table.summary(0.0).freshness_p50 is None
    assert "not measured" in str(table.summary(0.0))
    for version in range(101):
        table.see_interest(interest(version=version), 0.0, version / 100)
    summary = table.summary(0.0)
    assert summary.freshness_p50 == pytest.approx(0.5)
    assert summary.freshness_p95 == pytest.approx(0.95)
    assert "p50 0.500 s, p95 0.950 s" in str(summary)


def test_what_a_user_wrote_cannot_rule_the_terminal() -> None:
    hostile = "\x1b[2Jx[bold]y\n"
    table = LiveTable({"a": hostile})
    table.see_interest(interest(hostile, topics={hostile: 1.0}, modalities={hostile: 1.0}), 0.0)
    table.see_recommendation(slate(hostile))
    text = shown(table)
    assert "\x1b" not in text
    assert "[bold]" in text
    for line in (interest_line(interest(hostile), None), slate_line(slate(hostile), {})):
        assert line.isprintable()


def test_lines() -> None:
    assert interest_line(interest(), 0.25) == (
        "u v1 7 events topics cats 0.50, dogs 0.25 [image 75%, text 25%] after 0.250 s"
    )
    assert interest_line(interest(topics={}, modalities={}), None) == "u v1 7 events topics none named []"
    assert slate_line(slate(), {"a": "Tabby", "b": ""}) == "u v1 recommended Tabby, b"


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab\N{HORIZONTAL ELLIPSIS}"),
        ("", 3, ""),
        ("a\tb", 9, "a\N{REPLACEMENT CHARACTER}b"),
    ],
)
def test_printable(text: str, limit: int, expected: str) -> None:
    assert printable(text, limit) == expected
