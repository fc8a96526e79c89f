"""Facts say what a user did, and nothing else; they follow from the set of events."""

import random
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.errors import CodecError
from state.events import ACTIONS, Action, Row, RowKind
from state.facts import Facts, read_facts
from state.items import EncodedItem
from state.trends import Scale, Trend
from tests.shelf import FUSION, Shelf, held
from tests.tastes import DAY, GROUPS, MINUTE, START, item, row

ITEMS = [item(number, labels=(f"label {number}",)) for number in range(60)]
SHELF = Shelf(ITEMS)


def of(group: str) -> list[EncodedItem]:
    return [each for each in ITEMS if each.categories == (group,)]


def tagless(number: int) -> EncodedItem:
    return msgspec.structs.replace(ITEMS[number], tags=())


def facts(rows: Sequence[Row], shelf: Shelf = SHELF) -> Facts:
    (found,) = read_facts(FUSION, [held(rows)], shelf)
    return found


def acts(count: int, items: Sequence[EncodedItem], first: int = 0, action: Action = Action.LIKE) -> list[Row]:
    return [row("ann", first + n, items[n % len(items)], action) for n in range(count)]


def names(found: Sequence[object]) -> list[str]:
    return [each.item_id for each in found]  # type: ignore[attr-defined]


def test_topics_are_those_of_the_interest_with_their_evidence() -> None:
    found = facts([*acts(6, of("birds")), *acts(3, of("boats"), 10)])
    categories = [topic for topic in found.topics if topic.name in GROUPS]
    assert [(topic.name, topic.events) for topic in categories] == [("birds", 6), ("boats", 3)]
    assert sum(topic.share for topic in found.topics) == pytest.approx(1, abs=0.01)
    assert set(categories[0].scales) == {Scale.MINUTES, Scale.TODAY, Scale.LATELY, Scale.ALWAYS}
    assert (found.event_count, found.version, found.time) == (9, 9, START + 12 * MINUTE)
    assert found.modalities == {"image": 1.0}


def test_liked_items_come_latest_first_with_what_was_done_and_is_seen_in_them() -> None:
    rows = [
        row("ann", 1, ITEMS[0], Action.LIKE),
        row("ann", 2, ITEMS[1], Action.VIEW),
        row("ann", 3, ITEMS[2], Action.SAVE),
        row("ann", 4, ITEMS[0], Action.PURCHASE),
    ]
    found = facts(rows)
    assert names(found.liked) == ["item-0", "item-2"]
    first = found.liked[0]
    assert first.actions == (Action.PURCHASE, Action.LIKE) and first.title == "Item 0"
    assert first.seen == ("label 0",) and first.topics == ("birds", "tag-0")


@pytest.mark.parametrize("turned", [Action.DISLIKE, Action.UNLIKE, Action.SKIP])
def test_an_item_that_was_turned_down_since_is_not_liked(turned: Action) -> None:
    found = facts([row("ann", 1, ITEMS[0], Action.LIKE), row("ann", 2, ITEMS[0], turned)])
    assert found.liked == ()
    assert names(found.disliked) == (["item-0"] if turned is Action.DISLIKE else [])


def test_a_like_after_a_dislike_holds() -> None:
    found = facts([row("ann", 1, ITEMS[0], Action.DISLIKE), row("ann", 2, ITEMS[0], Action.LIKE)])
    assert (names(found.liked), found.disliked) == (["item-0"], ())


def test_what_was_taken_back_is_no_fact() -> None:
    liked = row("ann", 1, ITEMS[0], Action.LIKE)
    back = msgspec.structs.replace(liked, kind=int(RowKind.RETRACT), sequence=1, offset=-1)
    found = facts([liked, back, *acts(2, of("boats"), 5)])
    assert "item-0" not in names(found.liked)
    assert "birds" not in [topic.name for topic in found.topics]


def test_items_disliked_long_ago_are_found_by_their_mark() -> None:
    found = facts([row("ann", 0, ITEMS[3], Action.DISLIKE), *acts(40, of("birds"), 1)])
    assert names(found.disliked) == ["item-3"] and found.disliked[0].actions == ()


def test_topics_with_more_disliking_are_avoided_and_not_liked() -> None:
    found = facts([*acts(4, of("drums"), 0, Action.DISLIKE), *acts(4, of("birds"), 10)])
    assert "drums" in [topic.name for topic in found.avoided]
    assert "drums" not in [topic.name for topic in found.topics]
    assert max(found.avoided, key=lambda topic: topic.share).events == 4


def test_searches_and_comments_are_told_latest_first() -> None:
    rows = [
        row("ann", 1, None, Action.SEARCH, text="old songs"),
        row("ann", 2, ITEMS[4], Action.COMMENT, text="lovely"),
        row("ann", 3, None, Action.SEARCH, text="new songs"),
    ]
    found = facts(rows)
    assert [search.words for search in found.searches] == ["new songs", "old songs"]
    assert names(found.comments) == ["item-4"]


def test_comments_are_told_of_with_how_they_sound() -> None:
    rows = [
        row("ann", 1, ITEMS[1], Action.COMMENT, text="lovely", sentiment=0.8),
        row("ann", 2, ITEMS[2], Action.COMMENT, text="awful", sentiment=-0.7),
        row("ann", 3, ITEMS[3], Action.COMMENT, text="so so"),
        row("ann", 4, ITEMS[4], Action.DISLIKE),
    ]
    told = [(comment.item_id, comment.sentiment) for comment in facts(rows).comments]
    assert told == [
        ("item-3", None),
        ("item-2", pytest.approx(-0.7, abs=0.01)),
        ("item-1", pytest.approx(0.8, abs=0.01)),
    ]


def test_items_that_the_catalogue_does_not_have_are_not_told_of() -> None:
    found = facts(acts(3, of("birds")), Shelf([]))
    assert (found.liked, found.disliked) == ((), ()) and found.event_count == 3


def test_a_change_of_taste_shows_as_topics_that_rise_and_fade() -> None:
    birds, boats, cakes = ([tagless(n) for n in range(60) if n % 6 == group] for group in range(3))
    before = [each for pair in zip(acts(20, birds), acts(20, boats, 20), strict=True) for each in pair]
    after = [each for pair in zip(acts(7, birds, 50), acts(7, cakes, 60), strict=True) for each in pair]
    rows = [
        msgspec.structs.replace(each, event_id=f"e{n}", time=START + n * 1000)
        for n, each in enumerate([*before, *after])
    ]
    shelf = Shelf([tagless(number) for number in range(60)])
    trends = {topic.name: topic.trend for topic in facts(rows, shelf).topics}
    assert trends == {"birds": Trend.STEADY, "boats": Trend.FADING, "cakes": Trend.RISING}


def test_a_few_events_make_no_trend() -> None:
    found = facts([*acts(4, of("birds")), *acts(4, of("boats"), 10)])
    assert {topic.trend for topic in found.topics} == {Trend.NONE}


def test_a_topic_of_today_is_told_from_what_lasts() -> None:
    shelf = Shelf([tagless(number) for number in range(60)])
    old = [tagless(n) for n in range(60) if n % 6 == 0]
    new = [tagless(n) for n in range(60) if n % 6 == 1]
    rows = [row("ann", n, old[n % 10], Action.LIKE, time=START + n * 2 * DAY) for n in range(15)]
    rows += [
        row("ann", 20 + n, new[n], Action.LIKE, time=START + 28 * DAY + n * 3 * 3_600_000) for n in range(5)
    ]
    found = {topic.name: topic for topic in facts(rows, shelf).topics}
    assert found["boats"].scale is Scale.TODAY
    assert found["birds"].scale is Scale.ALWAYS
    assert found["boats"].scales[Scale.TODAY] > 0.8 > found["boats"].scales[Scale.ALWAYS]


def test_times_of_day_need_several_days_and_follow_the_zone() -> None:
    evenings = [
        row("ann", n, ITEMS[n], time=START // DAY * DAY + n * DAY + 19 * 3_600_000) for n in range(20)
    ]
    assert facts(evenings).day_parts["evening"] == 1.0
    (there,) = read_facts(FUSION, [held(evenings)], SHELF, ZoneInfo("Asia/Shanghai"))
    assert there.day_parts["night"] == 1.0 and "weekends" in there.day_parts
    assert facts(acts(20, ITEMS)).day_parts == {}


def test_facts_are_json_and_back() -> None:
    found = facts([*acts(20, of("birds")), row("ann", 30, ITEMS[9], Action.DISLIKE)])
    assert msgspec.json.decode(msgspec.json.encode(found), type=Facts) == found


def test_nobody_has_no_facts_and_foreign_bytes_are_refused() -> None:
    assert read_facts(FUSION, [], SHELF) == []
    with pytest.raises(CodecError, match="not a fusion record"):
        read_facts(FUSION, [(b"nonsense", None)], SHELF)


events = st.builds(
    lambda number, place, action, minute, text: row(
        "ann",
        number,
        None if action is Action.SEARCH else ITEMS[place],
        action,
        time=START + minute * MINUTE,
        text=text if action is Action.SEARCH else None,
    ),
    st.integers(0, 10_000),
    st.integers(0, 59),
    st.sampled_from(ACTIONS),
    st.integers(-50_000, 50_000),
    st.sampled_from(["blue boats", "蓝色的船", "drums"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(events, min_size=1, max_size=30, unique_by=lambda each: each.event_id), st.randoms())
def test_facts_are_of_the_set_of_events(rows: list[Row], chance: random.Random) -> None:
    """As many as the ring holds; of older ones, the records keep sums and bounds (`state.profile`)."""
    shuffled = list(rows)
    chance.shuffle(shuffled)
    one, other = facts(rows), facts(shuffled)
    assert facts(rows) == one
    shares, others = ({topic.name: topic.share for topic in each.topics} for each in (one, other))
    assert shares == pytest.approx(others, abs=2e-3)
    same = ("liked", "disliked", "searches", "comments", "day_parts", "event_count", "time")
    assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]
    touched = {each.item_id for each in rows}
    assert {*names(one.liked), *names(one.disliked), *names(one.comments)} <= touched
    known = {topic for each in rows for topic in each.topics} | {"boats", "drums"}
    assert {topic.name for topic in (*one.topics, *one.avoided)} <= known
