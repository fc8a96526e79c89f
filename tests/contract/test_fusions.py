"""One suite, every fusion of an item's modalities: what the state and the catalogue rely on."""

import numpy as np
import pytest

from state.errors import ModelError
from state.fusions import FUSIONS, Fused, ItemFusion, build_fusion
from state.fusions.untrained import starting_arrays, untrained
from tests.fusion_reference import unit
from tests.fusion_samples import by_chance
from tests.item_fusion_reference import item_vector

Given = tuple[np.ndarray, np.ndarray]


def sample(count: int, seed: int = 3) -> Given:
    """Unit vectors [count, 4, 128] and what is present, every mask among them."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 4, 128))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    present = (np.arange(count)[:, None] >> np.arange(4)) % 2 > 0
    return vectors.astype(np.float32), present


def fuse(fusion: ItemFusion, vectors: np.ndarray, present: np.ndarray) -> Fused:
    return fusion.fuse(vectors[present], present)


@pytest.fixture(
    params=[(kind, made) for kind in FUSIONS for made in ("untrained", "by-chance")], ids="-".join
)
def fusion(request: pytest.FixtureRequest) -> ItemFusion:
    kind, made = request.param
    return untrained(kind) if made == "untrained" else by_chance(kind)


def test_gives_unit_vectors_and_shares_that_sum_to_one(fusion: ItemFusion) -> None:
    vectors, present = sample(160)
    out = fuse(fusion, vectors, present)
    assert (out.vectors.shape, out.shares.shape) == ((160, 64), (160, 4))
    assert (out.vectors.dtype, out.shares.dtype) == (np.float32, np.float32)
    some = present.any(axis=1)
    np.testing.assert_array_equal(out.usable, some)
    np.testing.assert_allclose(np.linalg.norm(out.vectors[some], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(out.shares[some].sum(axis=1), 1, atol=1e-6)
    assert (out.shares >= 0).all()
    assert not out.shares[~present].any()


def test_follows_its_formula(fusion: ItemFusion) -> None:
    vectors, present = sample(80)
    out = fuse(fusion, vectors, present)
    slow = [item_vector(fusion, *each) for each in zip(vectors, present, strict=True)]
    np.testing.assert_allclose(out.vectors, np.stack(slow), rtol=0, atol=3e-6)


def test_nothing_present_is_zero(fusion: ItemFusion) -> None:
    vectors, _ = sample(20)
    out = fuse(fusion, vectors, np.zeros((20, 4), bool))
    assert not out.vectors.any()
    assert not out.shares.any()


def test_an_empty_batch_gives_no_rows(fusion: ItemFusion) -> None:
    out = fusion.fuse(np.zeros((0, 128), np.float32), np.zeros((0, 4), bool))
    assert (out.vectors.shape, out.shares.shape) == ((0, 64), (0, 4))
    assert out.vectors.dtype == np.float32


def test_an_item_alone_is_as_in_company_to_the_bit(fusion: ItemFusion) -> None:
    vectors, present = sample(150)
    whole = fuse(fusion, vectors, present)
    for start, end in [(row, row + 1) for row in range(0, 150, 7)] + [(3, 67), (64, 150), (1, 3), (17, 50)]:
        part = fuse(fusion, vectors[start:end], present[start:end])
        np.testing.assert_array_equal(part.vectors, whole.vectors[start:end])
        np.testing.assert_array_equal(part.shares, whole.shares[start:end])


def test_the_order_of_a_batch_changes_nothing_to_the_bit(fusion: ItemFusion) -> None:
    vectors, present = sample(130)
    whole = fuse(fusion, vectors, present)
    order = np.random.default_rng(4).permutation(130)
    turned = fuse(fusion, vectors[order], present[order])
    np.testing.assert_array_equal(turned.vectors, whole.vectors[order])
    np.testing.assert_array_equal(turned.shares, whole.shares[order])


def test_company_of_another_kind_changes_nothing_to_the_bit(fusion: ItemFusion) -> None:
    vectors, present = sample(40)
    other, _ = sample(40, seed=9)
    whole = fuse(fusion, vectors, present)
    nothing = np.zeros((40, 4), bool)
    mixed = fuse(fusion, np.concatenate([other, vectors]), np.concatenate([nothing, present]))
    np.testing.assert_array_equal(mixed.vectors[40:], whole.vectors)


def test_is_the_same_at_every_call_and_leaves_its_input_alone(fusion: ItemFusion) -> None:
    vectors, present = sample(70)
    before = vectors.copy(), present.copy()
    vectors.setflags(write=False)
    present.setflags(write=False)
    assert_same(fusion, (vectors, present), before)
    np.testing.assert_array_equal(vectors, before[0])
    np.testing.assert_array_equal(present, before[1])


def test_memory_order_changes_nothing_to_the_bit(fusion: ItemFusion) -> None:
    vectors, present = sample(50)
    found, whole = vectors[present], fuse(fusion, vectors, present)
    wide = np.zeros((2 * len(found), 128), np.float32)
    wide[::2] = found
    for rows in (wide[::2], np.asfortranarray(found)):
        turned = fusion.fuse(rows, np.asfortranarray(present))
        np.testing.assert_array_equal(turned.vectors, whole.vectors)
        np.testing.assert_array_equal(turned.shares, whole.shares)


def test_each_modality_counts(fusion: ItemFusion) -> None:
    vectors, _ = sample(20)
    present = np.ones((20, 4), bool)
    whole = fuse(fusion, vectors, present).vectors
    for modality in range(4):
        without = present.copy()
        without[:, modality] = False
        assert (np.abs(whole - fuse(fusion, vectors, without).vectors).max(axis=1) > 1e-3).all()


def test_survives_its_arrays(fusion: ItemFusion) -> None:
    assert list(fusion.arrays) == list(fusion.shapes)
    assert all(array.dtype == np.float32 for array in fusion.arrays.values())
    again = build_fusion(fusion.kind, {name: array.copy() for name, array in fusion.arrays.items()})
    vectors, present = sample(30)
    np.testing.assert_array_equal(
        fuse(again, vectors, present).vectors, fuse(fusion, vectors, present).vectors
    )


def test_refuses_arrays_that_are_not_its_own(fusion: ItemFusion) -> None:
    arrays = dict(fusion.arrays)
    with pytest.raises(ModelError, match=f"{fusion.kind} fusion: missing or unknown weights.*item_other"):
        build_fusion(fusion.kind, arrays | {"item_other": arrays["item_gain"]})
    for name, array in arrays.items():
        with pytest.raises(ModelError, match=f"missing or unknown weights.*{name}"):
            build_fusion(fusion.kind, {key: other for key, other in arrays.items() if key != name})
        with pytest.raises(ModelError, match=f"weight {name} has shape"):
            build_fusion(fusion.kind, arrays | {name: array[None]})
        with pytest.raises(ModelError, match=f"weight {name} is not finite"):
            build_fusion(fusion.kind, arrays | {name: np.full_like(array, np.nan)})
        with pytest.raises(ModelError, match=f"weight {name} is float64"):
            build_fusion(fusion.kind, arrays | {name: array.astype(np.float64)})


@pytest.mark.parametrize("kind", [kind for kind in FUSIONS if kind != "late"])
def test_before_training_it_is_the_normalised_mean_of_the_content(kind: str) -> None:
    vectors, present = sample(64)
    out = fuse(untrained(kind), vectors, present).vectors
    content = (vectors[..., :63] / np.linalg.norm(vectors[..., :63], axis=-1, keepdims=True)) * present[
        ..., None
    ]
    mean = np.stack([unit(row) for row in content.sum(axis=1)])
    np.testing.assert_allclose(out @ out.T, mean @ mean.T, atol=1e-5)
    np.testing.assert_allclose(out.sum(axis=1), 0, atol=1e-5)


def test_before_training_late_fusion_keeps_neighbours() -> None:
    vectors, _ = sample(200)
    present = np.ones((200, 4), bool)
    whole = fuse(untrained("gated"), vectors, present).vectors
    late = fuse(untrained("late"), vectors, present).vectors
    assert ((late @ whole.T).argmax(axis=1) == np.arange(200)).all()


def test_every_array_of_a_kind_has_a_start() -> None:
    assert set(starting_arrays()) == {name for each in FUSIONS.values() for name in each.shapes}


def test_an_unknown_kind_says_what_is_known() -> None:
    with pytest.raises(ModelError, match="'mixed'; known are: concatenation, cross-attention, gated, late"):
        untrained("mixed")


def assert_same(fusion: ItemFusion, one: Given, other: Given) -> None:
    first, second = fuse(fusion, *one), fuse(fusion, *other)
    np.testing.assert_array_equal(first.vectors, second.vectors)
    np.testing.assert_array_equal(first.shares, second.shares)
