"""What an artifact learned of categories stands in for the own vectors of items that training never saw."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from state.artifact import load_artifact, save_artifact
from state.catalogue import Catalogue
from state.errors import ModelError
from state.events import ACTIONS, Action
from state.fusion import Fusion
from state.items import EncodedItem
from state.known import (
    CATEGORIES,
    CATEGORY_EMBEDDING,
    CATEGORY_KEYS,
    KnownCategories,
    KnownItems,
    category_hash,
)
from state.layout import DIM, MODALITY_COUNT, SHARED_DIM
from state.learning.exporting import artifact_of
from state.learning.interactions import ItemContent, interactions_of
from state.learning.interest import InterestModel, InterestShape
from state.learning.optimiser import OptimiserSettings
from state.learning.protocol import Targets, Task
from state.learning.sequential import Plan, build, train
from state.learning.trainer import Schedule
from state.slots import item_hash
from tests.fusion_samples import NOW, event, fold, learned, media


def drawn(count: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, DIM)) * DIM**-0.5).astype(np.float16)


NAMES = ("birds", "ships", "trees")
TABLE = KnownCategories(np.array(sorted(map(category_hash, NAMES)), np.uint64), drawn(len(NAMES), 8))
ITEMS = KnownItems(np.array([item_hash("item-1")], np.uint64), drawn(1, 9), TABLE)
ARTIFACT = replace(learned(), known=ITEMS)
FUSION = Fusion(ARTIFACT)


def common(name: str) -> np.ndarray:
    return TABLE.embedding[np.flatnonzero(TABLE.keys == category_hash(name))[0]].astype(np.float32)


def vector(item: str, topics: tuple[str, ...], content: dict[int, bytes]) -> np.ndarray:
    return FUSION.item_vectors([content], [item], [topics])[0]


def test_a_new_item_is_its_content_and_what_its_categories_have_in_common() -> None:
    bare = Fusion(learned()).item_vectors([media(2)])[0]
    wanted = bare + (common("birds") + common("trees")) / 2
    made = vector("stranger", ("birds", "unheard of", "trees"), media(2))
    np.testing.assert_allclose(made, wanted / np.linalg.norm(wanted), atol=1e-6)
    alone = vector("stranger", ("ships",), {})
    np.testing.assert_allclose(alone, common("ships") / np.linalg.norm(common("ships")), atol=1e-6)


def test_categories_that_training_never_saw_say_nothing() -> None:
    np.testing.assert_array_equal(
        vector("stranger", ("unheard of",), media(2)), Fusion(learned()).item_vectors([media(2)])[0]
    )
    assert not vector("stranger", ("unheard of",), {}).any()


def test_an_item_that_training_saw_stays_what_it_is() -> None:
    np.testing.assert_array_equal(vector("item-1", ("ships",), media(1)), vector("item-1", (), media(1)))


def test_the_first_topics_count() -> None:
    many = tuple(f"tag-{number}" for number in range(CATEGORIES))
    np.testing.assert_array_equal(
        vector("stranger", (*many[1:], "birds", "ships"), media(2)), vector("stranger", ("birds",), media(2))
    )
    np.testing.assert_array_equal(
        vector("stranger", (*many, "ships"), media(2)), vector("stranger", (), media(2))
    )


def test_events_and_the_catalogue_agree() -> None:
    catalogue = Catalogue(FUSION)
    item = EncodedItem("new", 0, 0, vectors=media(2), categories=("ships",), tags=("trees", "old"))
    catalogue.apply([("new", item)])
    own = catalogue.columns.vectors[catalogue.row_of["new"]]
    np.testing.assert_allclose(own, vector("new", item.topics, media(2)), atol=1e-6)
    row = event(2, item_id="new", topics=item.topics)
    assert FUSION.read([fold(FUSION, [row])]).recent[0, 0] @ own > 0.9999


def test_words_without_an_item_are_of_no_category() -> None:
    rows = [event(3, item_id=None, topics=topics) for topics in ((), ("ships",))]
    assert fold(FUSION, rows[:1]) == fold(FUSION, rows[1:])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.sets(st.sampled_from(["unheard of", *NAMES]))), max_size=70))
def test_how_events_are_cut_changes_nothing(drawn_: list[tuple[int, set[str]]]) -> None:
    rows = [
        event(at, item_id=f"item-{number}", vectors=media(number - 3), topics=tuple(sorted(topics)))
        for at, (number, topics) in enumerate(drawn_)
    ]
    state = fold(FUSION, [])
    for row in rows:
        state = fold(FUSION, [row], state)
    assert state == fold(FUSION, rows)


def test_training_learns_what_the_items_of_a_category_have_in_common() -> None:
    """Users stay in one category, whose last item nobody takes; nothing else is told of any item."""
    size, users, each = 6, 36, 8
    ids = tuple(f"{name}-{number}" for name in NAMES for number in range(size))
    topics = tuple((name,) for name in NAMES for _ in range(size))
    mine = np.arange(users)[:, None] % len(NAMES) * size
    source = interactions_of(
        {
            "user": np.repeat(np.arange(users), each),
            "item": (mine + np.random.default_rng(0).integers(0, size - 1, (users, each))).ravel(),
            "time_ms": NOW + np.tile(np.arange(each) * 60_000, users),
            "action": np.full(users * each, ACTIONS.index(Action.LIKE)),
        },
        [f"user-{number}" for number in range(users)],
        ids,
    )
    nothing = np.zeros((len(ids), MODALITY_COUNT, SHARED_DIM), np.float32)
    content = ItemContent(nothing, nothing.any(axis=2), topics)
    task = Task(source, Targets(source, np.zeros(0, np.int64)), content)
    fast = OptimiserSettings(rate=1e-2, warm_up=5)
    plan = Plan(schedule=Schedule(epochs=8, batch=12, length=16, optimiser=fast))
    made = train(plan, task, lambda done: None, torch.device("cpu"))
    assert isinstance(made.model, InterestModel)
    untold = build(Plan(interest=InterestShape(categories=False)), task, torch.device("cpu"))
    assert isinstance(untold, InterestModel)
    assert made.model.tower.usable().all()
    assert untold.tower.usable().tolist() == (source.counts > 0).tolist()
    vectors = Fusion(artifact_of(made.model, ids)).item_vectors([{}] * len(ids), ids, topics)
    new = np.arange(size - 1, len(ids), size)
    old = np.delete(vectors, new, axis=0).reshape(len(NAMES), size - 1, DIM)
    assert (vectors[new] @ old.mean(axis=1).T).argmax(axis=1).tolist() == [0, 1, 2]


def test_they_come_back_from_files_and_change_the_fingerprint(tmp_path: Path) -> None:
    without = replace(ARTIFACT, known=replace(ITEMS, categories=None))
    assert without.fingerprint != ARTIFACT.fingerprint
    save_artifact(ARTIFACT, str(tmp_path))
    back = load_artifact(str(tmp_path))
    assert back.fingerprint == ARTIFACT.fingerprint
    rows = [event(number, topics=(NAMES[number % 3],)) for number in range(50)]
    assert fold(Fusion(back), rows) == fold(FUSION, rows)


def test_half_of_a_table_is_refused(tmp_path: Path) -> None:
    class Half(KnownCategories):
        @property
        def arrays(self) -> dict[str, np.ndarray]:
            return {CATEGORY_KEYS: self.keys}

    save_artifact(
        replace(ARTIFACT, known=replace(ITEMS, categories=Half(TABLE.keys, TABLE.embedding))), str(tmp_path)
    )
    with pytest.raises(ModelError, match=CATEGORY_EMBEDDING):
        load_artifact(str(tmp_path))
    with pytest.raises(ModelError, match=CATEGORY_KEYS):
        KnownCategories(TABLE.keys[::-1].copy(), TABLE.embedding)
