"""The shared space, the built-in alignment and the artifact on disk."""

from pathlib import Path

import numpy as np
import pytest

from encoders.alignment import Alignment, digest, to_64
from encoders.alignment_artifact import MANIFEST, TENSORS, load_alignment, save_alignment
from encoders.alignment_builtin import LEADING, part_columns
from encoders.alignment_fit import fit
from encoders.base import SHARED_DIM, Modality
from encoders.errors import ArtifactError
from encoders.image.classes import ClassShares, class_names
from tests.alignment_samples import VERSIONS, HashedWords, World, builtin, fit_items, world


@pytest.fixture(scope="module")
def given() -> World:
    return world(60, seed=1)


@pytest.fixture(scope="module", params=["builtin", "fitted"])
def alignment(request: pytest.FixtureRequest, given: World) -> Alignment:
    return builtin() if request.param == "builtin" else fit(fit_items(given, 30), builtin())


def test_rows_are_float32_of_unit_length(alignment: Alignment, given: World) -> None:
    for modality, native, classes in (
        (Modality.TEXT, given.text, None),
        (Modality.IMAGE, given.image, given.classes),
        (Modality.VIDEO, given.image, given.classes),
        (Modality.AUDIO, given.audio, None),
    ):
        rows = alignment.align(modality, native, classes)
        assert rows.dtype == np.float32
        assert rows.shape == (60, SHARED_DIM)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_a_row_is_the_same_alone_as_in_company(alignment: Alignment, given: World) -> None:
    together = alignment.align(Modality.IMAGE, given.image, given.classes)
    one = ClassShares(given.classes.ids[7:8], given.classes.shares[7:8])
    np.testing.assert_allclose(
        alignment.align(Modality.IMAGE, given.image[7:8], one)[0], together[7], atol=1e-5
    )


def test_no_rows_give_no_rows(alignment: Alignment, given: World) -> None:
    assert alignment.align(Modality.TEXT, given.text[:0]).shape == (0, SHARED_DIM)


def test_the_leading_half_keeps_most(alignment: Alignment, given: World) -> None:
    rows = alignment.align(Modality.TEXT, given.text)
    assert (rows[:, :64] ** 2).sum() > 0.5 * (rows**2).sum()
    halves = to_64(rows)
    assert halves.shape == (60, 64)
    whole, half = rows @ rows.T, halves @ halves.T
    upper = np.triu_indices(60, 1)
    assert np.corrcoef(whole[upper], half[upper])[0, 1] > 0.7


def test_a_row_at_the_centre_is_zero_and_not_nan() -> None:
    alignment = builtin()
    centre = alignment.maps[Modality.TEXT].centre[None]
    assert not alignment.align(Modality.TEXT, centre).any()


def test_other_encoders_are_refused_with_the_mend(alignment: Alignment) -> None:
    alignment.check(VERSIONS)
    with pytest.raises(ArtifactError, match=r"image is other-2.*fit it again"):
        alignment.check({**VERSIONS, Modality.IMAGE: "other-2"})


def test_builtin_sounds_meet_nothing_else(given: World) -> None:
    alignment = builtin()
    sounds = alignment.align(Modality.AUDIO, given.audio)
    assert not (sounds @ alignment.align(Modality.TEXT, given.text).T).any()
    assert not (sounds @ alignment.align(Modality.IMAGE, given.image, given.classes).T).any()


def test_builtin_images_lie_near_the_names_of_their_classes() -> None:
    alignment = builtin()
    names = [name.partition(" (")[0] for name in class_names()]
    texts = alignment.align(Modality.TEXT, HashedWords().encode(names))
    chosen = np.arange(0, 1000, 50)
    shares = np.tile([0.9] + [0.01] * 9, (len(chosen), 1)).astype(np.float32)
    ids = (chosen[:, None] + np.arange(10)) % 1000
    features = np.abs(np.random.default_rng(3).standard_normal((len(chosen), 120))).astype(np.float32)
    images = alignment.align(Modality.IMAGE, features, ClassShares(ids, shares))
    assert ((images @ texts.T).argmax(axis=1) == chosen).mean() > 0.8


def test_builtin_parts_share_no_column_and_each_leads() -> None:
    parts = part_columns()
    assert sorted(np.concatenate(parts)) == list(range(SHARED_DIM))
    assert tuple((part < SHARED_DIM // 2).sum() for part in parts) == LEADING
    assert all((np.diff(part) > 0).all() for part in parts)


def test_builtin_is_the_same_every_time() -> None:
    first, second = builtin(), builtin()
    assert first.version == second.version
    assert first.kind == "builtin"
    assert digest(first.maps, first.class_vectors) == digest(second.maps, second.class_vectors)


def test_survives_saving(alignment: Alignment, given: World, tmp_path: Path) -> None:
    save_alignment(alignment, tmp_path / "artifact", {"items": 60})
    loaded = load_alignment(tmp_path / "artifact")
    assert loaded.version == alignment.version
    assert loaded.encoders == VERSIONS
    for modality, native in ((Modality.TEXT, given.text), (Modality.AUDIO, given.audio)):
        np.testing.assert_array_equal(loaded.align(modality, native), alignment.align(modality, native))
    np.testing.assert_array_equal(
        loaded.align(Modality.IMAGE, given.image, given.classes),
        alignment.align(Modality.IMAGE, given.image, given.classes),
    )


def test_saving_again_replaces_the_old(given: World, tmp_path: Path) -> None:
    save_alignment(builtin(), tmp_path)
    fitted = fit(fit_items(given, 0), builtin())
    save_alignment(fitted, tmp_path)
    assert load_alignment(tmp_path).version == fitted.version


def test_a_missing_folder_says_the_mend(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"leave encoders\.alignment empty"):
        load_alignment(tmp_path / "nothing")


@pytest.mark.parametrize("name", [MANIFEST, TENSORS])
@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 64])
def test_a_broken_file_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    save_alignment(builtin(), tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArtifactError):
        load_alignment(tmp_path)


def test_numbers_of_another_alignment_are_refused(given: World, tmp_path: Path) -> None:
    save_alignment(builtin(), tmp_path / "one")
    save_alignment(fit(fit_items(given, 0), builtin()), tmp_path / "two")
    (tmp_path / "two" / TENSORS).replace(tmp_path / "one" / TENSORS)
    with pytest.raises(ArtifactError, match="not those of its manifest"):
        load_alignment(tmp_path / "one")


def test_another_format_is_refused(tmp_path: Path) -> None:
    save_alignment(builtin(), tmp_path)
    manifest = (tmp_path / MANIFEST).read_text().replace('"format": 1', '"format": 2')
    (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(ArtifactError, match="format 2, not 1"):
        load_alignment(tmp_path)
