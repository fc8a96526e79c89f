"""Which vectors of two banks lie in the same space."""

from encoders.base import MODALITIES, Modality
from encoders.versions import bank_version, differing

CONTEXTS = {modality: f"encoder of {modality} 1" for modality in MODALITIES}
OLD = bank_version("names+fitted", "alignment-1", CONTEXTS)


def test_equal_banks_differ_in_nothing() -> None:
    assert bank_version("names+fitted", "alignment-1", dict(CONTEXTS)) == OLD
    assert differing(OLD, OLD) == set()


def test_a_new_encoder_changes_its_own_modality() -> None:
    new = bank_version("other-names+fitted", "alignment-1", {**CONTEXTS, Modality.VIDEO: "another"})
    assert new != OLD
    assert differing(OLD, new) == differing(new, OLD) == {Modality.VIDEO}


def test_a_new_alignment_changes_all() -> None:
    assert differing(OLD, bank_version("names+fitted", "alignment-2", CONTEXTS)) == set(MODALITIES)


def test_versions_of_another_kind_differ_in_all() -> None:
    for other in ("", "fake-1", "names+fitted-0123456789abcdef", "a.b.c.d.e.f"):
        assert differing(OLD, other) == differing(other, OLD) == set(MODALITIES)
