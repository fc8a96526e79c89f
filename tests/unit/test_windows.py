"""Windows cover what is too long, overlap, and are pooled to one vector."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from encoders.media.windows import LETTERS, pooled, text_windows


def test_a_text_that_fits_is_its_own_window() -> None:
    assert text_windows("short", 5, 8) == ["short"]
    assert text_windows("", 5, 8) == [""]


def test_windows_begin_at_words_overlap_and_reach_the_end() -> None:
    words = [f"word{number}" for number in range(400)]
    windows = text_windows(" ".join(words), 500, 100)
    assert all(window.startswith("word") and len(window) <= 500 for window in windows)
    assert windows[-1].endswith("word399")
    covered = {word for window in windows for word in window.split()}
    assert covered >= set(words)
    for one, other in pairwise(windows):
        assert set(one.split()) & set(other.split())


def test_text_without_blanks_is_cut_anywhere() -> None:
    windows = text_windows("x" * 1000, 300, 100)
    assert {len(window) for window in windows} == {300}


def test_signs_that_are_a_token_each_count_as_several_letters() -> None:
    text = "".join(chr(0x4E00 + number) for number in range(1000))
    windows = text_windows(text, 400, 1000, LETTERS)
    assert max(map(len, windows)) == 400 // LETTERS
    assert set("".join(windows)) == set(text)
    mixed = "plain words of an alphabet " * 10 + text[:100]
    assert text_windows(mixed, 670, 4, LETTERS) == [mixed]
    assert len(text_windows(mixed, 669, 4, LETTERS)) > 1


def test_of_a_book_so_many_windows_are_taken_from_first_to_last() -> None:
    text = " ".join(str(number) for number in range(20_000))
    windows = text_windows(text, 1000, 4)
    assert len(windows) == 4
    starts = [int(window.split()[0]) for window in windows]
    assert starts[0] == 0
    assert windows[-1].endswith("19999")
    assert np.ptp(np.diff([text.index(window) for window in windows])) < 300


def test_one_window_is_the_beginning() -> None:
    assert text_windows("abcdef", 3, 1) == ["abc"]


@given(st.text(max_size=300), st.integers(8, 60), st.integers(1, 9))
def test_any_text(text: str, size: int, most: int) -> None:
    windows = text_windows(text, size, most)
    assert 1 <= len(windows) <= most
    assert all(len(window) <= size and window in text for window in windows)


def test_pooled_vectors_are_as_long_as_those_they_come_from() -> None:
    windows = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    np.testing.assert_allclose(pooled(windows), [0.5**0.5, 0.5**0.5, 0], atol=1e-6)
    np.testing.assert_array_equal(pooled(windows[:1]), windows[0])
    np.testing.assert_array_equal(pooled(np.array([[1, 0], [-1, 0]], np.float32)), [0, 0])
