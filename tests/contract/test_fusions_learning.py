"""One suite, every fusion of an item's modalities: it is trained as it serves, and training helps."""

import numpy as np
import pytest
import torch

from state.content import basis
from state.errors import ModelError
from state.fusions import FUSIONS, ItemFusion
from state.fusions.differentiable import item_vectors
from state.fusions.learning import FEWEST, FIXED, Learning, learn
from state.fusions.untrained import untrained
from tests.contract.test_fusions import fuse, sample
from tests.fusion_samples import by_chance

SHORT = Learning(steps=40, rate=0.01, every=5)
TRAINED = [kind for kind in FUSIONS if kind != "late"]


def world(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Items of which two modalities tell the truth, beside a bias of their own, and a third tells nothing."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(count, 128)) * (np.arange(128) < 24)
    # The biases of the modalities are the same in every world.
    bias = np.random.default_rng(0).normal(size=(4, 128)) * (np.arange(128) < 24) * 1.5
    vectors = np.stack([truth + 0.6 * rng.normal(size=(count, 128)) + bias[m] for m in range(4)], axis=1)
    vectors[:, 2] = rng.normal(size=(count, 128)) + 2 * bias[2]
    present = np.tile([True, True, True, False], (count, 1))
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32), present


def halves_found(fusion: ItemFusion, given: tuple[np.ndarray, np.ndarray]) -> float:
    """How often the one telling modality with the silent one finds the other."""
    vectors, present = given
    left, right = present & [True, False, True, False], present & [False, True, False, False]
    cosines = fuse(fusion, vectors, left).vectors @ fuse(fusion, vectors, right).vectors.T
    return float((cosines.argmax(axis=1) == np.arange(len(vectors))).mean())


@pytest.mark.parametrize("kind", FUSIONS)
def test_what_is_trained_is_what_serves(kind: str) -> None:
    torch.set_num_threads(1)
    vectors, present = sample(96)
    some = present.any(axis=1)
    for fusion in (by_chance(kind), untrained(kind)):
        arrays = {name: torch.from_numpy(array) for name, array in fusion.arrays.items()}
        given = torch.from_numpy(vectors[some]), torch.from_numpy(present[some])
        trained = item_vectors(kind, arrays, *given).numpy()
        served = fuse(fusion, vectors[some], present[some]).vectors
        np.testing.assert_allclose(trained, served, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", FUSIONS)
def test_training_keeps_the_item_space_of_the_prior(kind: str) -> None:
    torch.set_num_threads(1)
    fusion = learn(kind, *world(80, seed=1), SHORT).fusion
    assert fusion.kind == kind
    vectors, present = sample(40, seed=8)
    out = fuse(fusion, vectors, present).vectors
    np.testing.assert_allclose(out.sum(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose((out @ basis().T) @ basis(), out, atol=1e-5)
    for name in FIXED & fusion.arrays.keys() - {"item_concept_share"}:
        np.testing.assert_array_equal(fusion.arrays[name], untrained(kind).arrays[name])


@pytest.mark.parametrize("kind", TRAINED)
def test_unseen_items_find_their_other_half_more_often(kind: str) -> None:
    torch.set_num_threads(1)
    unseen = world(200, seed=2)
    before = halves_found(untrained(kind), unseen)
    after = halves_found(learn(kind, *world(200, seed=1), SHORT).fusion, unseen)
    assert after > before + 0.1


def test_the_same_catalogue_gives_the_same_numbers() -> None:
    torch.set_num_threads(1)
    first, second = (learn("gated", *world(80, seed=1), SHORT).fusion for _ in range(2))
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(second.arrays[name], array)
    other = learn("gated", *world(80, seed=1), Learning(steps=40, rate=0.01, every=5, seed=7)).fusion
    assert any((other.arrays[name] != array).any() for name, array in first.arrays.items())


def test_training_that_does_not_help_is_left() -> None:
    torch.set_num_threads(1)
    vectors, present = sample(160)
    learned = learn("weighted-sum", vectors, present, Learning(steps=20, rate=30.0, every=5))
    assert learned.before == learned.after
    np.testing.assert_array_equal(learned.fusion.arrays["item_weight"], np.zeros(4, np.float32))


def test_items_without_anything_and_with_one_modality_take_part() -> None:
    torch.set_num_threads(1)
    vectors, present = world(80, seed=1)
    present[:10] = False
    present[10:30, 1:] = False
    told: list[int] = []
    fusion = learn("gated", vectors, present, SHORT, told.append).fusion
    assert all(np.isfinite(array).all() for array in fusion.arrays.values())
    assert told == list(range(1, SHORT.steps + 1))


def test_too_few_items_of_several_modalities_are_refused() -> None:
    vectors, present = world(FEWEST + 5, seed=1)
    present[FEWEST - 1 :, 1:] = False
    with pytest.raises(ModelError, match=f"{FEWEST - 1} items have more than one modality.*{FEWEST} or more"):
        learn("gated", vectors, present)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ModelError, match="known are"):
        learn("mixed", *world(FEWEST, seed=1))
