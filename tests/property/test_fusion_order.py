"""What may not matter: cuts into batches, company, arrival order, repetition."""

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.events import ACTIONS, Action, Row, RowKind
from tests.fusion_samples import FUSIONS, assert_close, event, events, fold, histories, media

LIMIT = 1e-5
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
UNLIKE = ACTIONS.index(Action.UNLIKE)


def renamed(row: Row, user: str) -> Row:
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    return Row(**(fields | {"user_id": user}))


@pytest.mark.parametrize("name", FUSIONS)
@QUICK
@given(rows=histories(), seed=st.integers(0, 2**32))
def test_bytes_do_not_depend_on_batches_or_company(name: str, rows: list[Row], seed: int) -> None:
    fusion, chance = FUSIONS[name], random.Random(seed)
    alone = fold(fusion, rows)
    others = {f"user-{at}": chance.sample(rows, min(len(rows), 5)) for at in range(chance.randrange(90))}
    states: dict[str, bytes | None] = dict.fromkeys(["ann", *others])
    left = {"ann": list(rows)} | {user: list(theirs) for user, theirs in others.items()}
    while left["ann"]:
        users = ["ann", *chance.sample(list(others), chance.randrange(len(others) + 1))]
        chance.shuffle(users)
        cut = [
            [left[user].pop(0) for _ in range(min(len(left[user]), chance.randrange(40)))] for user in users
        ]
        folded = fusion.fold([states[user] for user in users], cut)
        states |= dict(zip(users, folded.states, strict=True))
    assert states["ann"] == alone


@pytest.mark.parametrize("name", FUSIONS)
@QUICK
@given(rows=events(), seed=st.integers(0, 2**32))
def test_a_reading_does_not_depend_on_company(name: str, rows: list[Row], seed: int) -> None:
    fusion, chance = FUSIONS[name], random.Random(seed)
    state = fold(fusion, rows)
    crowd = [fold(fusion, chance.sample(rows, chance.randrange(len(rows) + 1))) for _ in range(3)] * 30
    crowd = crowd[: chance.randrange(90)]
    place = chance.randrange(len(crowd) + 1)
    together = fusion.read([*crowd[:place], state, *crowd[place:]])
    single = fusion.read([state])
    for part in single.__slots__:
        assert np.array_equal(getattr(together, part)[place], getattr(single, part)[0]), part


@pytest.mark.parametrize("name", FUSIONS)
@QUICK
@given(rows=events(90), seed=st.integers(0, 2**32))
def test_a_state_is_a_function_of_the_set_of_events(name: str, rows: list[Row], seed: int) -> None:
    fusion = FUSIONS[name]
    if len(rows) > 32:
        rows = [row for row in rows if row.action != UNLIKE]
    shuffled = random.Random(seed).sample(rows, len(rows))
    if rows:
        first, second = (fusion.read([fold(fusion, way)]) for way in (rows, shuffled))
        assert_close(first, second, LIMIT)


@pytest.mark.parametrize("name", FUSIONS)
@QUICK
@given(rows=events(32), seed=st.integers(0, 2**32))
def test_corrections_in_the_ring_commute(name: str, rows: list[Row], seed: int) -> None:
    fusion, chance = FUSIONS[name], random.Random(seed)
    fixes = []
    for row in chance.sample(rows, chance.randrange(len(rows) + 1)):
        fields = {name: getattr(row, name) for name in row.__struct_fields__}
        for sequence in range(1, 4):
            kind = chance.choice([RowKind.AMEND, RowKind.RETRACT])
            change = {"kind": int(kind), "sequence": sequence, "vectors": media(chance.randrange(-1, 20))}
            fixes.append(Row(**(fields | change)))
    orders = (fixes, chance.sample(fixes, len(fixes)))
    first, second = (fusion.read([fold(fusion, [*rows, *order])]) for order in orders)
    for part in ("interest", "heads", "dislike", "modalities", "recent_mask"):
        np.testing.assert_array_equal(getattr(first, part), getattr(second, part), err_msg=part)


@QUICK
@given(rows=histories())
def test_what_comes_again_changes_nothing(rows: list[Row]) -> None:
    fusion = FUSIONS["prior"]
    state = fold(fusion, rows)
    recent = [row for row in rows[-60:] if row.kind != RowKind.AMEND or row.sequence <= 0]
    known = [row for row in recent if row.kind == RowKind.EVENT]
    assert fold(fusion, known, state) == state


@QUICK
@given(rows=events(40), at=st.integers(0, 31), seed=st.integers(0, 30))
def test_an_amended_event_is_as_if_it_had_come_so(rows: list[Row], at: int, seed: int) -> None:
    fusion = FUSIONS["learned"]
    place = max(len(rows) - 1 - at, 0)
    fields = {name: getattr(rows[place], name) for name in rows[place].__struct_fields__}
    blind = Row(**(fields | {"vectors": {}, "masked": {0: "timeout"}}))
    whole = Row(**(fields | {"vectors": media(seed)}))
    late = Row(**(fields | {"vectors": media(seed), "kind": int(RowKind.AMEND), "sequence": 1}))
    amended = fusion.read([fold(fusion, [*rows[:place], blind, *rows[place + 1 :], late])])
    at_once = fusion.read([fold(fusion, [*rows[:place], whole, *rows[place + 1 :]])])
    for part in ("interest", "heads", "head_weights", "dislike", "modalities", "recent", "recent_mask"):
        np.testing.assert_array_equal(getattr(amended, part), getattr(at_once, part), err_msg=part)


def test_a_hundred_and_twenty_eight_ids_are_remembered() -> None:
    fusion = FUSIONS["prior"]
    late = event(-5_000)
    rows = [*(event(number) for number in range(40)), late, *(event(number) for number in range(40, 167))]
    state = fold(fusion, rows)
    assert fold(fusion, [late], state) == state
    assert fold(fusion, [late], fold(fusion, [event(167)], state)) != state
