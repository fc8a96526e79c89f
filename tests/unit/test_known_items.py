"""What an artifact learned of single items: found by id, added to content, kept in files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.artifact import Artifact, load_artifact, save_artifact
from state.catalogue import Catalogue
from state.errors import ModelError
from state.fusion import Fusion
from state.items import EncodedItem
from state.judging import Judges
from state.known import EMBEDDING, KEYS, KnownItems
from state.layout import DIM
from state.prior import content_prior
from state.slots import item_hash
from tests.fusion_samples import event, fold, learned, media


def known(*names: str, length: float = 1.0) -> KnownItems:
    keys = np.array(sorted(item_hash(name) for name in names), np.uint64)
    rng = np.random.default_rng(4)
    drawn = rng.normal(size=(len(names), DIM)) * DIM**-0.5 * length
    return KnownItems(keys, drawn.astype(np.float16))


def own(items: KnownItems, name: str) -> np.ndarray:
    return items.embedding[np.flatnonzero(items.keys == item_hash(name))[0]].astype(np.float32)


TABLE = known("item-1", "item-2", "item-7")
ARTIFACT = replace(learned(), known=TABLE)
FUSION = Fusion(ARTIFACT)


def test_an_item_is_its_content_and_its_own_vector_together() -> None:
    bare = Fusion(learned()).item_vectors([media(1), media(2), {}])
    made = FUSION.item_vectors([media(1), media(2), {}], ["item-1", "stranger", "item-7"])
    wanted = bare[0] + own(TABLE, "item-1")
    np.testing.assert_allclose(made[0], wanted / np.linalg.norm(wanted), atol=1e-6)
    np.testing.assert_array_equal(made[1], bare[1])
    np.testing.assert_allclose(
        made[2], own(TABLE, "item-7") / np.linalg.norm(own(TABLE, "item-7")), atol=1e-6
    )


def test_nothing_is_known_of_a_stranger_without_content() -> None:
    assert not FUSION.item_vectors([{}], ["stranger"]).any()


def test_an_event_counts_by_its_item_alone_where_no_medium_could_be_had() -> None:
    blind = {"vectors": {}, "masked": {0: "timeout"}}
    read = FUSION.read([fold(FUSION, [event(1, **blind)])])
    assert read.recent_mask[0, 0]
    assert read.interest.any()
    np.testing.assert_allclose(read.recent[0, 0] @ own(TABLE, "item-1"), 1, atol=0.1)
    stranger = FUSION.read([fold(FUSION, [event(3, **blind)])])
    assert not stranger.recent_mask.any()
    assert not stranger.interest.any()


def test_events_and_the_catalogue_agree() -> None:
    catalogue = Catalogue(FUSION)
    catalogue.apply([("item-2", EncodedItem("item-2", 0, 0, vectors=media(2)))])
    vector = catalogue.columns.vectors[catalogue.row_of["item-2"]]
    assert FUSION.read([fold(FUSION, [event(2)])]).recent[0, 0] @ vector > 0.9999


@given(st.lists(st.integers(0, 9), min_size=1, max_size=70))
def test_how_events_are_cut_changes_nothing(numbers: list[int]) -> None:
    rows = [
        event(at, item_id=f"item-{number}", vectors=media(number - 3)) for at, number in enumerate(numbers)
    ]
    state = None
    for row in rows:
        state = fold(FUSION, [row], state)
    assert state == fold(FUSION, rows)


def test_an_artifact_that_knows_items_comes_back_from_its_files(tmp_path: Path) -> None:
    save_artifact(ARTIFACT, str(tmp_path))
    back = load_artifact(str(tmp_path))
    assert back.fingerprint == ARTIFACT.fingerprint != learned().fingerprint
    rows = [event(number) for number in range(50)]
    assert fold(Fusion(back), rows) == fold(FUSION, rows)
    assert back.known is not None
    np.testing.assert_array_equal(back.known.embedding, TABLE.embedding)


def test_an_artifact_that_knows_none_serves_as_without() -> None:
    empty = replace(content_prior(), known=known())
    rows = [event(number) for number in range(40)]
    read = Fusion(empty).read([fold(Fusion(empty), rows)])
    bare = Fusion(content_prior())
    np.testing.assert_array_equal(read.interest, bare.read([fold(bare, rows)]).interest)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"keys": TABLE.keys[::-1].copy()}, "not ascending"),
        ({"keys": TABLE.keys.astype(np.int64)}, KEYS),
        ({"embedding": TABLE.embedding[:2]}, EMBEDDING),
        ({"embedding": TABLE.embedding.astype(np.float32)}, EMBEDDING),
        ({"embedding": np.full_like(TABLE.embedding, np.inf)}, "not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, np.ndarray], word: str) -> None:
    with pytest.raises(ModelError, match=word):
        KnownItems(**({"keys": TABLE.keys, "embedding": TABLE.embedding} | change))


def test_half_of_a_table_is_refused(tmp_path: Path) -> None:
    class Half(KnownItems):
        @property
        def arrays(self) -> dict[str, np.ndarray]:
            return {KEYS: self.keys}

    save_artifact(
        Artifact("half", learned().weights, learned().items, known=Half(TABLE.keys, TABLE.embedding)),
        str(tmp_path),
    )
    with pytest.raises(ModelError, match=EMBEDDING):
        load_artifact(str(tmp_path))


def judges() -> Judges:
    rng = np.random.default_rng(7)
    shapes = {"pair": (DIM, DIM), "user": (DIM,), "item": (DIM,), "bias": (1,)}
    return Judges(
        {
            f"{head}_{part}": rng.normal(size=shape).astype(np.float32)
            for head in ("like", "rate")
            for part, shape in shapes.items()
        }
    )


def test_heads_that_judge_come_back_and_change_no_state(tmp_path: Path) -> None:
    judging = replace(ARTIFACT, judges=judges())
    assert judging.fingerprint == ARTIFACT.fingerprint
    save_artifact(judging, str(tmp_path))
    back = load_artifact(str(tmp_path)).judges
    assert back is not None
    users, items = FUSION.item_vectors([media(1), media(2)]), FUSION.item_vectors([media(3), media(4)])
    np.testing.assert_array_equal(back.likes(users, items), judges().likes(users, items))
    assert ((back.ratings(users, items) >= 0) & (back.ratings(users, items) <= 1)).all()
    lacking = {name: array for name, array in judges().arrays.items() if name != "like_pair"}
    with pytest.raises(ModelError, match="like_pair"):
        Judges(lacking)
