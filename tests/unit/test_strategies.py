"""Blended strategies, pins, rules, exploration, repeats, the index: what slates may hold."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.catalogue import Catalogue, Demand
from state.errors import ModelError
from state.events import ACTIONS, Action, Row
from state.fusion import Outcome
from state.items import EncodedItem
from state.layout import SHARED_DIM
from state.profile import Profile, fold_profile
from state.recommend import Audience, Recommender
from state.settings import Pin, RecommendSettings, Rule
from state.slates import COLLABORATIVE, EXPLORED, PINNED, SOURCES, Slate, Slates
from state.slots import item_hash
from state.strategies.collaborative import FADING, SHRINK
from state.strategies.following import Followers, add_followers
from tests.tastes import DAY, GROUPS, START, catalogue, item, row

DAYS = 30.0
HALF_LIFE = DAYS * DAY
ALL = {"interest": 1.0, "heads": 0.5, "content": 0.5, "collaborative": 1.0, "trending": 0.3}
STOCK = [item(number) for number in range(60)]


def height(count: float, time: int = START) -> float:
    return float(np.log2(count)) + time / HALF_LIFE


def follow(made: Catalogue, pairs: dict[str, dict[str, float]], taken: float = 20.0) -> None:
    """Tell the catalogue what followed upon what, all of it taken equally often."""
    made.learn(
        (
            name,
            Demand(-np.inf, height(taken)),
            Followers(
                add_followers(b"", {item_hash(other): count for other, count in followers.items()}, 1.0, 99),
                START,
                height(taken),
            ),
        )
        for name, followers in pairs.items()
    )
    others = {other for followers in pairs.values() for other in followers} - set(pairs)
    made.learn((name, Demand(-np.inf, height(taken)), None) for name in others)


class World:
    def __init__(self, items: Sequence[EncodedItem], options: RecommendSettings) -> None:
        self.catalogue, self.fusion = catalogue(items)
        self.options = options
        self.recommender = Recommender(self.catalogue, options)

    def made(self, pasts: list[list[Row]], moment: int = START + DAY) -> Slates:
        folded = self.fusion.fold([None] * len(pasts), pasts)
        acts = {ACTIONS.index(action) for action in self.options.repeat_days}
        profiles = []
        for past, outcomes in zip(pasts, folded.outcomes, strict=True):
            profile = Profile()
            counted = zip(past, outcomes, strict=True)
            kept = [
                (each, item_hash(each.item_id or ""))
                for each, told in counted
                if told not in (Outcome.DUPLICATE, Outcome.IGNORED)
            ]
            fold_profile(profile, kept, acts)
            profiles.append(profile)
        moments = np.full(len(pasts), moment, np.int64)
        return self.recommender.slates(Audience(self.fusion.read(folded.states), profiles, moments))

    def slates(self, pasts: list[list[Row]], moment: int = START + DAY) -> list[Slate]:
        return self.made(pasts, moment).each()


def likes(numbers: Sequence[int], user: str = "u") -> list[Row]:
    return [row(user, turn, STOCK[number], Action.LIKE) for turn, number in enumerate(numbers)]


def numbers_of(slate: Slate) -> list[int]:
    return [int(name.removeprefix("item-")) for name in slate.items]


def test_what_others_took_next_comes_first() -> None:
    world = World(STOCK, RecommendSettings(weights={"collaborative": 1.0}, neighbours=64, diversity=0.0))
    follow(
        world.catalogue,
        {"item-0": {"item-8": 9.0, "item-15": 4.0}, "item-1": {"item-15": 8.0, "item-0": 9.0}},
    )
    (slate,) = world.slates([likes([1, 0])])
    assert slate.items[:2] == ["item-15", "item-8"]
    assert slate.sources[:2] == [COLLABORATIVE] * 2
    assert [(why.strategy, why.share, why.item_id) for why in slate.reasons[0] if why.strategy] == [
        ("collaborative", 1.0, "item-1")
    ]
    assert [why.item_id for why in slate.reasons[1] if why.strategy] == ["item-0"]


def test_the_collaborative_value_is_its_formula() -> None:
    world = World(STOCK, RecommendSettings(weights={"collaborative": 1.0}, neighbours=64, diversity=0.0))
    pairs = {"item-0": {"item-8": 9.0, "item-15": 4.0}, "item-1": {"item-15": 8.0}, "item-2": {"item-8": 2.0}}
    follow(world.catalogue, pairs, taken=50.0)
    expected: Counter[str] = Counter()
    for back, own in enumerate(("item-2", "item-1", "item-0")):
        for other, count in pairs[own].items():
            expected[other] += 2 ** (-back / FADING) * count / (50 + SHRINK)  # type: ignore[assignment]
    (slate,) = world.slates([likes([0, 1, 2])])
    best = expected.most_common()
    assert slate.items[:2] == [name for name, _ in best]


@pytest.mark.parametrize("blend", ["scores", "ranks"])
def test_a_blend_names_its_strategies_and_their_shares(blend: str) -> None:
    options = msgspec.convert({"weights": ALL, "neighbours": 64, "blend": blend}, RecommendSettings)
    world = World(STOCK, options)
    follow(world.catalogue, {"item-0": {"item-6": 9.0, "item-20": 9.0}})
    world.catalogue.rate([("item-6", 9.0), ("item-13", 8.0)])
    follow(world.catalogue, {"item-0": {"item-6": 9.0, "item-20": 9.0}})
    (slate,) = world.slates([likes([1, 0])])
    told = {why.strategy: why.share for why in slate.reasons[slate.items.index("item-6")] if why.strategy}
    assert {"interest", "collaborative"} <= set(told) <= set(ALL)
    assert sum(told.values()) == pytest.approx(1.0, abs=0.2)
    assert "item-20" in slate.items
    assert slate.scores == sorted(slate.scores, reverse=True) or world.options.diversity > 0
    assert all(0 <= score <= 1 for score in slate.scores)


def test_a_weight_of_one_strategy_orders_as_that_strategy_does() -> None:
    past = likes([0, 1, 6, 12])
    (alone,) = World(STOCK, RecommendSettings(weights={"interest": 2.0}, diversity=0.0)).slates([past])
    (plain,) = World(STOCK, RecommendSettings(diversity=0.0)).slates([past])
    assert alone.items == plain.items


def test_a_strategy_without_what_it_rests_on_is_refused() -> None:
    made, _ = catalogue(STOCK)
    with pytest.raises(ModelError, match=r"recommend\.neighbours"):
        Recommender(made, RecommendSettings(weights={"collaborative": 1.0}))
    with pytest.raises(ModelError, match=r"model\.artifact"):
        Recommender(made, RecommendSettings(weights={"liked": 1.0}))


def test_who_is_new_gets_what_is_trending_from_a_blend() -> None:
    world = World(STOCK, RecommendSettings(weights={"interest": 1.0, "trending": 0.5}))
    world.catalogue.rate([("item-4", 7.0), ("item-2", 9.0)])
    (slate,) = world.slates([[]])
    assert slate.items[:2] == ["item-2", "item-4"]


def test_pins_stand_at_their_places() -> None:
    pins = (Pin("item-33", 3), Pin("item-34", 1), Pin("no-such-item", 2), Pin("item-35", 99))
    world = World(STOCK, RecommendSettings(pins=pins))
    slates = world.slates([likes([0, 6]), [], likes([33, 0])])
    for slate in slates[:2]:
        assert slate.items[0] == "item-34"
        assert slate.items[2] == "item-33"
        assert slate.sources[0] == slate.sources[2] == PINNED
        assert len(set(slate.items)) == len(slate.items) == 10
        assert slate.sources.count(PINNED) == 2
    assert "item-33" not in slates[2].items


RATED = [
    item(0, attributes={"age": 6, "region": "eu"}),
    item(6, attributes={"age": 18, "region": "eu"}),
    item(12, attributes={"age": 12.5, "region": "us", "paid": True}),
    item(18, attributes={"age": None}),
    item(24),
]


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        (Rule("age", most=16), [0, 12]),
        (Rule("age", least=10, most=18), [6, 12]),
        (Rule("region", any_of=("eu",)), [0, 6]),
        (Rule("region", none_of=("eu",)), [12, 18, 24]),
        (Rule("paid", any_of=(True,)), [12]),
        (Rule("paid", any_of=(1.0,)), []),
        (Rule("paid", least=0), []),
    ],
)
def test_only_what_meets_the_rules_is_recommended(rule: Rule, left: list[int]) -> None:
    world = World(RATED, RecommendSettings(filters=(rule,)))
    (slate,) = world.slates([[]])
    assert sorted(numbers_of(slate)) == left
    world.catalogue.apply([("item-30", item(30, attributes={"age": 99, "region": "eu"}))])
    (slate,) = world.slates([[]])
    assert ("item-30" in slate.items) == (rule in (Rule("region", any_of=("eu",)),))


def test_all_rules_must_be_met() -> None:
    world = World(RATED, RecommendSettings(filters=(Rule("age", most=16), Rule("region", any_of=("eu",)))))
    assert numbers_of(world.slates([[]])[0]) == [0]


def test_an_item_stays_out_longer_after_some_actions() -> None:
    options = RecommendSettings(seen_days=2, repeat_days={Action.PURCHASE: 30, Action.SKIP: 5})
    acts = [(0, Action.PURCHASE), (1, Action.VIEW), (2, Action.SKIP), (3, Action.SAVE)]
    past = [row("u", turn, STOCK[number], action) for turn, (number, action) in enumerate(acts)]
    world = World(STOCK[:8], options)
    out = {}
    for days in (1, 4, 20, 40):
        latest = row("u", 50, STOCK[7], time=START + days * DAY)
        (slate,) = world.slates([[*past, latest]])
        out[days] = {0, 1, 2, 3} - set(numbers_of(slate))
    assert out == {1: {0, 1, 2, 3}, 4: {0, 2}, 20: {0}, 40: set()}


def test_little_known_items_are_explored_with_a_known_chance() -> None:
    world = World(STOCK, RecommendSettings(explore_places=2, explore_events=5))
    world.catalogue.learn((f"item-{n}", Demand(1.0, events=100), None) for n in range(60) if n % 10 != 7)
    made = world.made([likes([n, (n * 7) % 60], f"u{n}") for n in range(40)])
    slates = made.each()
    new = {f"item-{n}" for n in range(7, 60, 10)}
    assert made.propensities is not None
    chances = np.array(made.propensities).reshape(40, 10)
    for slate, own in zip(slates, chances, strict=True):
        assert slate.sources[-2:] == [EXPLORED] * 2
        assert set(slate.items[-2:]) <= new
        assert EXPLORED not in slate.sources[:-2]
        assert (own[:-2] == 0).all()
        assert ((own[-2:] > 0) & (own[-2:] <= 1)).all()
    assert len({name for slate in slates for name in slate.items[-2:]}) >= 4


def test_chances_are_those_of_the_draws() -> None:
    """Over many users of one state each item is drawn about as often as it is said to be."""
    world = World(STOCK, RecommendSettings(explore_places=1, explore_events=5, seen_days=0))
    world.catalogue.learn((f"item-{n}", Demand(1.0, events=100), None) for n in range(60) if n % 12 != 7)
    pasts = [[row(f"u{n}", 0, STOCK[0], Action.LIKE, time=START + n)] for n in range(600)]
    made = world.made(pasts)
    assert made.propensities is not None
    drawn, said = Counter[str](), dict[str, float]()
    for place, slate in enumerate(made.each()):
        drawn[slate.items[-1]] += 1
        said[slate.items[-1]] = made.propensities[place * 10 + 9]
    for name, chance in said.items():
        assert drawn[name] / 600 == pytest.approx(chance, abs=4 * (chance / 600) ** 0.5)


def test_what_was_explored_much_is_explored_less() -> None:
    options = RecommendSettings(explore_places=1, explore_events=50, seen_days=0)
    world = World(STOCK, options)
    world.catalogue.learn((f"item-{n}", Demand(1.0, events=100), None) for n in range(60) if n not in (7, 13))
    pasts = [[row(f"u{n}", 0, STOCK[1], Action.LIKE, time=START + n)] for n in range(200)]
    world.catalogue.learn([("item-7", Demand(-np.inf, explored=1_000), None)])
    drawn = Counter(slate.items[-1] for slate in world.slates(pasts))
    assert drawn["item-13"] > 2 * drawn["item-7"]


histories = st.lists(
    st.tuples(
        st.integers(0, 59),
        st.sampled_from([a for a in ACTIONS if a is not Action.SEARCH]),
        st.integers(0, 1_000),
    ),
    max_size=40,
)
options_drawn = st.fixed_dictionaries(
    {
        "weights": st.sampled_from([{}, ALL, {"trending": 1.0}, {"content": 1.0, "collaborative": 0.2}]),
        "blend": st.sampled_from(["scores", "ranks"]),
        "diversity": st.sampled_from([0.0, 0.3, 1.0]),
        "diversity_method": st.sampled_from(["mmr", "dpp"]),
        "max_per_category": st.sampled_from([0, 1, 2]),
        "explore_places": st.sampled_from([0, 3]),
        "index_above": st.sampled_from([0, 10]),
        "pins": st.sampled_from(
            [[], [{"item_id": "item-5", "place": 1}, {"item_id": "item-11", "place": 4}]]
        ),
        "filters": st.sampled_from([[], [{"attribute": "age", "most": 40}]]),
        "repeat_days": st.sampled_from([{}, {"purchase": 60.0}]),
        "candidates": st.sampled_from([10, 50]),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.lists(histories, min_size=1, max_size=3), options_drawn, st.integers(0, 2**32))
def test_no_slate_holds_what_is_barred(
    histories: list[list[tuple[int, Action, int]]], chosen: dict[str, object], seed: int
) -> None:
    random = np.random.default_rng(seed)
    stock = [
        item(
            number,
            available=bool(random.random() < 0.8),
            expires_at=START + 5 * DAY if random.random() < 0.1 else None,
            attributes={"age": number},
            vectors={} if random.random() < 0.1 else item(number).vectors,
        )
        for number in range(60)
    ]
    options = msgspec.convert({"neighbours": 64, **chosen}, RecommendSettings)
    world = World(stock, options)
    names = [f"item-{number}" for number in range(60)]
    pairs = {name: {str(other): 3.0 for other in random.choice(names, 8)} for name in names[::2]}
    follow(world.catalogue, pairs)
    world.catalogue.apply([("item-9", None), ("item-60", item(60, attributes={"age": 1}))])
    events = [
        [
            row(f"u{user}", turn, stock[number], action, time=START + hours * 3_600_000)
            for turn, (number, action, hours) in enumerate(history)
        ]
        for user, history in enumerate(histories)
    ]
    by_name = {each.item_id: each for each in [*stock, item(60, attributes={"age": 1})]}
    for past, slate in zip(events, world.slates(events, START + 6 * DAY), strict=True):
        latest = max((each.time for each in past), default=0)
        shown = [by_name[name] for name in slate.items]
        assert not {each.item_id for each in past if _stays_out(each, latest, options)} & set(slate.items)
        assert "item-9" not in slate.items
        assert all(each.available and each.expires_at is None for each in shown)
        assert len(set(slate.items)) == len(slate.items) <= 10
        assert set(slate.sources) <= set(SOURCES)
        if options.filters:
            assert all(float(each.attributes["age"] or 0) <= 40 for each in shown)
        if options.max_per_category:
            groups = Counter(GROUPS[int(name.removeprefix("item-")) % 6] for name in slate.items)
            assert max(groups.values(), default=0) <= options.max_per_category
        for pin in options.pins:
            if pin.item_id in slate.items and len(slate.items) == 10 and PINNED in slate.sources:
                place = slate.items.index(pin.item_id)
                assert slate.sources[place] != PINNED or place == pin.place - 1
        assert {len(part) for part in slate} == {len(slate.items)}


def _stays_out(event: Row, latest: int, options: RecommendSettings) -> bool:
    """Met within 30 days, or bought within 60 where that is asked for."""
    bought = bool(options.repeat_days) and ACTIONS[event.action] is Action.PURCHASE
    return latest - event.time <= (60 if bought else 30) * DAY


@pytest.mark.parametrize("weights", [{}, {"interest": 1.0, "heads": 0.3}])
def test_the_index_finds_what_looking_at_all_finds(weights: dict[str, float]) -> None:
    stock = [item(number) for number in range(600)]
    options = {"weights": weights, "candidates": 60}
    pasts = [likes([n, (n * 7) % 60, (n * 5) % 60], f"u{n}") for n in range(12)]
    whole = World(stock, msgspec.convert(options, RecommendSettings)).slates(pasts)
    found = World(stock, msgspec.convert({**options, "index_above": 100}, RecommendSettings)).slates(pasts)
    shared = [len(set(one.items) & set(other.items)) for one, other in zip(whole, found, strict=True)]
    assert np.mean(shared) > 9.9


def test_the_more_cells_are_looked_into_the_nearer_slates_come_to_those_of_all_items() -> None:
    """Among items that are alike in nothing, which is where cells help least."""
    drawn = np.random.default_rng(2).standard_normal((2_000, SHARED_DIM))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    stock = [item(n, vectors={1: each.astype("<f2").tobytes()}) for n, each in enumerate(drawn)]
    pasts = [[row(f"u{n}", turn, stock[7 * n + turn], Action.LIKE) for turn in range(3)] for n in range(12)]

    def made(**changes: object) -> list[list[str]]:
        options = msgspec.convert({"candidates": 10, "diversity": 0.0, **changes}, RecommendSettings)
        return [each.items for each in World(stock, options).slates(pasts)]

    whole, few = made(), made(index_above=1, index_probes=1)
    assert made(index_above=1, index_probes=500) == whole
    shared = [len(set(one) & set(other)) for one, other in zip(few, whole, strict=True)]
    assert 3 < np.mean(shared) < 9


def test_the_index_follows_items_as_they_come_change_and_go() -> None:
    options = RecommendSettings(index_above=50, diversity=0.0)
    world = World(STOCK, options)
    past = likes([0, 6, 12])
    (before,) = world.slates([past])
    assert before.items[0] in {"item-18", "item-24", "item-30", "item-36", "item-42", "item-48", "item-54"}
    gone = before.items[0]
    world.catalogue.apply([(gone, None), ("item-66", item(66))])
    (after,) = world.slates([past])
    assert gone not in after.items
    assert "item-66" in after.items
    moved = item(1, offset=999, vectors=STOCK[0].vectors)
    world.catalogue.apply([("item-1", moved)])
    assert "item-1" in world.slates([past])[0].items[:3]
    assert world.recommender._index is not None and world.recommender._index.ready
    world.catalogue.apply([(f"item-{n}", None) for n in range(2, 30)])
    assert not world.recommender._index.ready or len(world.recommender._index) == len(world.catalogue)
    (slate,) = world.slates([past])
    assert not {f"item-{n}" for n in range(2, 30)} & set(slate.items)


def test_where_filters_leave_little_all_items_are_looked_at() -> None:
    """Almost everything near the user was seen, so that the index brings next to nothing to be shown."""
    stock = [item(number) for number in range(300)]
    options = {"candidates": 20, "top_k": 10, "diversity": 0.0}
    past = [row("u", turn, stock[6 * turn], Action.LIKE) for turn in range(48)]
    (whole,) = World(stock, msgspec.convert(options, RecommendSettings)).slates([past])
    world = World(stock, msgspec.convert({**options, "index_above": 100}, RecommendSettings))
    (found,) = world.slates([past])
    assert set(whole.items[:2]) == set(found.items[:2]) == {"item-288", "item-294"}
    assert len(set(whole.items) & set(found.items)) >= 9


def test_an_index_that_was_let_go_of_while_it_was_asked_shows_nothing_wrong() -> None:
    world = World(STOCK, RecommendSettings(index_above=50))
    index = world.recommender._index
    assert index is not None
    index.changed(world.catalogue.columns, [], 1)
    assert (index.search(np.ones((2, 64), np.float32), 5) == -1).all()
