import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from streams.interests.numerals import unit_vectors

vectors = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 3), st.integers(1, 9)), elements=st.floats(-1, 1, width=32)
)


@given(vectors)
def test_the_text_is_json_of_the_rounded_numbers(made: np.ndarray) -> None:
    found = [msgspec.json.decode(text) for text in unit_vectors(made)]
    np.testing.assert_allclose(found, made, rtol=0, atol=5.1e-6)


def test_it_is_read_as_numbers() -> None:
    made = np.array([[1.0, -1.0, 0.0, -0.00001, -0.0000001, 0.12345]], dtype=np.float32)
    (text,) = unit_vectors(made)
    assert text == b"[ 1.00000,-1.00000, 0.00000,-0.00001, 0.00000, 0.12345]"
    assert msgspec.json.decode(text, type=list[float]) == [1.0, -1.0, 0.0, -0.00001, 0.0, 0.12345]


def test_every_axis_but_the_last_is_walked_in_order() -> None:
    made = np.linspace(-1, 1, 2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    found = [msgspec.json.decode(text) for text in unit_vectors(made)]
    assert len(found) == 6
    np.testing.assert_allclose(np.array(found).reshape(2, 3, 4), made, rtol=0, atol=5.1e-6)


@pytest.mark.parametrize("value", [1.000001, 7.5, np.inf, -np.inf, np.nan])
def test_what_no_unit_vector_holds_is_cut(value: float) -> None:
    (text,) = unit_vectors(np.array([[value]], dtype=np.float32))
    assert abs(msgspec.json.decode(text)[0]) == 1.0
