"""The fold and the read against the slow reference, over histories by chance."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from state.events import Row
from tests.fusion_samples import FUSIONS, VECTORS, fold, histories, reference

LIMIT = 2e-5
"""Single precision against double, through a network of numbers by chance."""
SLOW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", FUSIONS)
@SLOW
@given(rows=histories())
def test_equals_the_sum_over_all_events(name: str, rows: list[Row]) -> None:
    fusion = FUSIONS[name]
    slow = reference(fusion)
    expected = [slow.apply(row) for row in rows]
    folded = fusion.fold([None], [rows])
    assert folded.outcomes[0] == expected
    mine = fusion.read(folded.states)
    assert (mine.version[0], mine.event_count[0]) == (slow.version, slow.event_count)
    theirs = slow.read()
    for part in VECTORS:
        np.testing.assert_allclose(getattr(mine, part)[0], theirs[part], rtol=0, atol=LIMIT, err_msg=part)
    np.testing.assert_allclose(mine.dislike_mass[0], theirs["dislike_mass"], rtol=LIMIT, atol=1e-30)


@SLOW
@given(rows=histories())
def test_everything_stays_finite_and_of_its_length(rows: list[Row]) -> None:
    fusion = FUSIONS["prior"]
    out = fusion.read([fold(fusion, rows)])
    for part in (*VECTORS, "dislike_mass", "recent"):
        assert np.isfinite(getattr(out, part)).all()
    for vectors in (out.interest, out.heads[0]):
        lengths = np.linalg.norm(vectors, axis=-1)
        assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))
    for shares in (out.head_weights[0], out.modalities[0]):
        assert abs(shares.sum() - 1) < 1e-5 or not shares.any()
