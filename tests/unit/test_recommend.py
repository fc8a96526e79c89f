"""What a slate may show, and what it prefers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.events import ACTIONS, Action, Row
from state.fusion import Outcome
from state.items import EncodedItem
from state.profile import Profile, fold_profile
from state.reasons import Why
from state.recommend import Audience, Recommender
from state.settings import RecommendSettings
from state.slates import HEAD, INTEREST, NEW, TRENDING, Slate
from state.slots import item_hash
from tests.tastes import DAY, GROUPS, MINUTE, START, catalogue, item, row


class World:
    """Users whose events are folded into both of their records, over one catalogue."""

    def __init__(self, items: list[EncodedItem], options: RecommendSettings | None = None) -> None:
        self.items = items
        self.catalogue, self.fusion = catalogue(items)
        self.recommender = Recommender(self.catalogue, options or RecommendSettings())

    def slates(self, pasts: list[list[Row]], moments: list[int] | None = None) -> list[Slate]:
        folded = self.fusion.fold([None] * len(pasts), pasts)
        profiles = []
        for past, outcomes in zip(pasts, folded.outcomes, strict=True):
            profile = Profile()
            counted = [
                (entry, item_hash(entry.item_id or ""))
                for entry, outcome in zip(past, outcomes, strict=True)
                if outcome not in (Outcome.DUPLICATE, Outcome.IGNORED)
            ]
            fold_profile(profile, counted)
            profiles.append(profile)
        at = np.array(moments or [START + DAY] * len(pasts), dtype=np.int64)
        return self.recommender.slates(Audience(self.fusion.read(folded.states), profiles, at)).each()


def likes(items: list[EncodedItem], numbers: list[int], user: str = "u") -> list[Row]:
    return [row(user, turn, items[number], Action.LIKE) for turn, number in enumerate(numbers)]


def groups_of(slate: Slate) -> list[str]:
    return [GROUPS[int(name.removeprefix("item-")) % len(GROUPS)] for name in slate.items]


STOCK = [item(number) for number in range(60)]

pasts = st.lists(
    st.tuples(
        st.integers(0, len(STOCK) - 1),
        st.sampled_from([a for a in ACTIONS if a is not Action.SEARCH]),
        st.integers(0, 50 * 24),
    ),
    max_size=45,
)


@st.composite
def stocks(draw: st.DrawFn) -> list[EncodedItem]:
    """Items of which some are unavailable, not published yet, expired, or without a vector."""
    instant = st.one_of(st.none(), st.integers(START - 3 * DAY, START + 60 * DAY))
    return [
        item(
            number,
            available=draw(st.integers(0, 5)) > 0,
            published_at=draw(instant) if number % 3 == 0 else None,
            expires_at=draw(instant) if number % 3 == 1 else None,
            vectors={} if number % 11 == 5 else item(number).vectors,
        )
        for number in range(len(STOCK))
    ]


@settings(max_examples=60, deadline=None)
@given(
    stocks(),
    st.lists(pasts, min_size=1, max_size=3),
    st.sampled_from([0, 2]),
    st.sampled_from([0.0, 5.0, 30.0]),
    st.integers(-1, 55),
)
def test_nothing_barred_is_ever_shown(
    stock: list[EncodedItem],
    histories: list[list[tuple[int, Action, int]]],
    cap: int,
    seen_days: float,
    day: int,
) -> None:
    world = World(stock, RecommendSettings(seen_days=seen_days, max_per_category=cap, candidates=20))
    world.catalogue.apply([(f"item-{n}", EncodedItem(f"item-{n}", 0, 999, withdrawn=True)) for n in (3, 10)])
    world.catalogue.rate([(f"item-{n}", float(n)) for n in range(0, 60, 4)])
    events = [
        [
            row(f"u{user}", turn, stock[number], action, time=START + hours * 60 * MINUTE)
            for turn, (number, action, hours) in enumerate(history)
        ]
        for user, history in enumerate(histories)
    ]
    moment = START + day * DAY
    for past, slate in zip(events, world.slates(events, [moment] * len(events)), strict=True):
        shown = [stock[int(name.removeprefix("item-"))] for name in slate.items]
        latest = max((entry.time for entry in past), default=0)
        fresh = {entry.item_id for entry in past if latest - entry.time <= seen_days * DAY and seen_days > 0}
        assert not fresh & set(slate.items)
        assert not disliked(past) & set(slate.items)
        assert not {"item-3", "item-10"} & set(slate.items)
        assert all(entry.available for entry in shown)
        assert all(entry.expires_at is None or entry.expires_at > moment for entry in shown)
        assert all(entry.published_at is None or entry.published_at <= moment for entry in shown)
        assert len(set(slate.items)) == len(slate.items) <= 10
        assert np.isfinite(slate.scores).all()
        assert {len(part) for part in slate} == {len(slate.items)}
        if cap:
            groups = groups_of(slate)
            assert max((groups.count(group) for group in groups), default=0) <= cap


def disliked(past: list[Row]) -> set[str | None]:
    """Items whose latest dislike is not older than any like or unlike of them."""
    stance: dict[str | None, tuple[int, bool]] = {}
    for entry in past:
        action = ACTIONS[entry.action]
        if action in (Action.DISLIKE, Action.LIKE, Action.UNLIKE):
            mine = (entry.time, action is Action.DISLIKE)
            stance[entry.item_id] = max(mine, stance.get(entry.item_id, mine))
    return {name for name, (_, bad) in stance.items() if bad}


def test_a_taste_fills_the_slate_with_its_kind() -> None:
    world = World(STOCK)
    (slate,) = world.slates([likes(STOCK, [0, 6, 12])])
    assert len(slate.items) == 10
    assert groups_of(slate)[:3] == ["birds"] * 3
    assert groups_of(slate).count("birds") >= 5
    assert set(slate.sources) <= {INTEREST, HEAD}


def test_diversity_trades_likeness_for_variety() -> None:
    past = likes(STOCK, [0, 6, 1])
    (plain,) = World(STOCK, RecommendSettings(diversity=0.0)).slates([past])
    (varied,) = World(STOCK, RecommendSettings(diversity=0.8)).slates([past])
    assert len(set(groups_of(varied))) > len(set(groups_of(plain)))
    assert plain.scores == sorted(plain.scores, reverse=True)


def test_a_dislike_moves_its_kind_down() -> None:
    options = RecommendSettings(diversity=0.0, top_k=60)
    both = likes(STOCK, [0, 1, 6, 7])
    against = [*both, *[row("u", 10 + n, STOCK[12 + 6 * n], Action.DISLIKE) for n in range(3)]]
    before, after = (World(STOCK, options).slates([past])[0] for past in (both, against))
    first = [groups_of(slate).index("birds") for slate in (before, after)]
    assert first[1] > first[0]
    assert groups_of(after)[0] == "boats"


def test_a_user_without_a_past_gets_what_is_in_demand_then_what_is_new() -> None:
    stock = [item(number, published_at=START + number) for number in range(12)]
    world = World(stock)
    world.catalogue.rate([("item-4", 7.0), ("item-2", 9.0), ("item-3", 8.0), ("item-9", -np.inf)])
    (slate,) = world.slates([[]])
    assert slate.items[:3] == ["item-2", "item-3", "item-4"]
    assert slate.items[3:] == [f"item-{number}" for number in (11, 10, 9, 8, 7, 6, 5)]
    assert slate.sources == [TRENDING] * 3 + [NEW] * 7
    assert slate.scores[:3] == [1.0, 0.5, 0.25]
    assert slate.scores[3:] == [0.0] * 7


def test_slates_follow_the_demand_as_it_changes() -> None:
    world = World(STOCK[:12])
    for first, second in (("item-4", "item-7"), ("item-7", "item-4")):
        world.catalogue.rate([(first, 9.0), (second, 8.0)])
        (slate,) = world.slates([[]])
        assert slate.items[:2] == [first, second]


def test_slates_follow_the_catalogue_as_it_changes() -> None:
    world = World(STOCK[:12])
    past = likes(STOCK, [0])
    (before,) = world.slates([past])
    assert "item-6" in before.items
    world.catalogue.apply([("item-6", item(6, offset=99, available=False)), ("item-54", STOCK[54])])
    (after,) = world.slates([past])
    assert "item-6" not in after.items
    assert "item-54" in after.items


def test_a_short_slate_is_filled_up() -> None:
    stock = [item(number) if number < 4 else item(number, vectors={}) for number in range(20)]
    (slate,) = World(stock).slates([likes(stock, [0])])
    assert slate.sources == [INTEREST] * 3 + [NEW] * 7


def test_an_empty_catalogue_gives_empty_slates() -> None:
    world = World([])
    assert world.slates([likes(STOCK, [0]), []]) == [Slate([], [], [], [])] * 2


def test_what_was_seen_comes_back_after_its_time() -> None:
    stock = STOCK[:6]
    seen = [row("u", 0, stock[0])]
    later = [*seen, row("u", 1, stock[1], time=START + 32 * DAY)]
    soon = [*seen, row("u", 1, stock[1], time=START + 29 * DAY)]
    slates = World(stock).slates([soon, later])
    assert "item-0" not in slates[0].items
    assert "item-0" in slates[1].items


def test_expiry_is_judged_at_each_users_own_moment() -> None:
    stock = [item(0), item(6, expires_at=START + 100), item(12)]
    world = World(stock)
    past = likes(stock, [0])
    before, after = world.slates([past, past], [START + 99, START + 100])
    assert sorted(before.items) == ["item-12", "item-6"]
    assert after.items == ["item-12"]


def test_reasons_name_the_nearest_item_of_the_past() -> None:
    (slate,) = World(STOCK).slates([likes(STOCK, [0, 1, 6])])
    for name, group, reasons in zip(slate.items, groups_of(slate), slate.reasons, strict=True):
        if group in ("birds", "boats"):
            (why,) = reasons
            assert why.item_id in ("item-0", "item-1", "item-6")
            assert GROUPS[int(str(why.item_id).removeprefix("item-")) % 6] == group, name
            assert group in why.topics


def test_a_disliked_item_is_no_reason() -> None:
    past = [row("u", 0, STOCK[0], Action.VIEW), row("u", 1, STOCK[0], Action.DISLIKE), row("u", 2, STOCK[6])]
    (slate,) = World(STOCK).slates([past])
    named = {why.item_id for reasons in slate.reasons for why in reasons}
    assert "item-6" in named
    assert "item-0" not in named


def test_shared_topics_explain_where_no_item_is_near() -> None:
    stock = [item(0), item(1, categories=("birds",)), item(2)]
    (slate,) = World(stock, RecommendSettings(diversity=0.0)).slates([likes(stock, [0])])
    by_name = dict(zip(slate.items, slate.reasons, strict=True))
    assert [(why.item_id, why.topics) for why in by_name["item-1"]] == [(None, ("birds",))]
    assert by_name["item-2"] == []


def test_a_withdrawn_item_is_no_reason_until_it_is_back() -> None:
    world = World([*STOCK[:13], item(14)])
    past = likes(STOCK, [0, 1])
    world.catalogue.apply([("item-0", None)])
    (without,) = world.slates([past])
    by_name = dict(zip(without.items, without.reasons, strict=True))
    assert [(why.item_id, why.topics) for why in by_name["item-6"]] == [(None, ("birds",))]
    world.catalogue.apply([("item-70", item(70)), ("item-0", item(0, offset=100))])
    (again,) = world.slates([past])
    assert again.items == [name for name in again.items if name != "item-0"]
    (why,) = dict(zip(again.items, again.reasons, strict=True))["item-6"]
    assert why == Why("item-0", ("birds",))


def test_shared_topics_come_in_the_order_of_the_item_and_four_at_most() -> None:
    topics = tuple(f"topic-{number}" for number in range(6))
    stock = [item(0, tags=topics), item(6, tags=topics[::-1]), item(12, tags=()), item(18, categories=())]
    (slate,) = World(stock, RecommendSettings(diversity=0.0)).slates([likes(stock, [0])])
    found = {name: reasons[0] for name, reasons in zip(slate.items, slate.reasons, strict=True)}
    assert found == {
        "item-6": Why("item-0", ("birds", "topic-5", "topic-4", "topic-3")),
        "item-12": Why("item-0", ("birds",)),
        "item-18": Why("item-0"),
    }


@pytest.mark.parametrize("cells", [1, 10_000_000])
def test_a_user_gets_the_same_slate_alone_and_in_any_company(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("state.recommend._CELLS", cells)
    world = World(STOCK)
    many = [
        likes(STOCK, [number, (number * 7) % 60, (number * 5) % 60], f"u{number}") for number in range(30)
    ]
    together = world.slates(many)
    for past, slate in zip(many, together, strict=True):
        (alone,) = world.slates([past])
        assert alone.items == slate.items
        assert alone.scores == pytest.approx(slate.scores, abs=2e-5)


def test_the_order_of_loading_does_not_matter() -> None:
    past = likes(STOCK, [0, 13, 26])
    (forward,) = World(STOCK).slates([past])
    (backward,) = World(STOCK[::-1]).slates([past])
    assert forward.items == backward.items


def test_twins_are_ordered_by_their_ids_alone() -> None:
    stock = STOCK[:8]
    options = RecommendSettings(top_k=3, candidates=3, diversity=0.0)
    chosen = []
    for order in (stock, stock[::-1], stock[3:] + stock[:3]):
        world = World(order, options)
        twins = world.catalogue.columns.vectors
        twins[:8] = twins[world.catalogue.row_of["item-0"]]
        chosen.append(world.slates([likes(STOCK, [0])])[0].items)
    assert chosen[0] == chosen[1] == chosen[2]
    assert chosen[0] == sorted((f"item-{n}" for n in range(1, 8)), key=item_hash)[:3]


def test_two_items_that_share_a_mark_are_both_hidden() -> None:
    world = World(STOCK[:4])
    world.catalogue.columns.hashes[1] = int(world.catalogue.columns.hashes[0]) ^ (1 << 40)
    world.catalogue.version += 1
    (slate,) = world.slates([[row("u", 0, STOCK[0])]])
    assert not {"item-0", "item-1"} & set(slate.items)
