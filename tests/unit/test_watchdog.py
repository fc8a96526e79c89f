"""What counts as a hang, and what does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from streams.watchdog import EXIT_CODE, Silence

ROOT = Path(__file__).parents[2]


def looked_until(silence: Silence, start: int, end: int) -> float:
    """Look once a second."""
    return [silence.look(float(now)) for now in range(start, end + 1)][-1]


def test_silence_lasts_from_the_last_step() -> None:
    silence = Silence(1.0, 0.0)
    assert looked_until(silence, 1, 5) == 5
    silence.beat(5.5)
    assert looked_until(silence, 6, 8) == 2.5


def test_a_process_that_was_stopped_has_not_hung() -> None:
    silence = Silence(1.0, 0.0)
    assert looked_until(silence, 1, 3) == 3
    # Nobody looked for a minute either. What was silent before goes on counting.
    assert silence.look(63.0) == pytest.approx(4)
    assert looked_until(silence, 64, 70) == pytest.approx(11)


def test_a_step_while_nobody_looked_ends_the_silence() -> None:
    silence = Silence(1.0, 0.0)
    silence.beat(59.5)
    assert silence.look(60.0) == 0
    assert silence.look(61.0) == pytest.approx(1)


def test_a_late_look_is_no_excuse() -> None:
    silence = Silence(1.0, 0.0)
    assert [round(silence.look(now), 1) for now in (1.5, 3.2, 5.0)] == [1.5, 3.2, 5.0]


def test_a_hang_ends_the_process_and_shows_where_it_was() -> None:
    code = (
        "import time; from streams.watchdog import Watchdog\n"
        "def stuck(): time.sleep(3600)\n"
        "Watchdog('the loop', 0.4).start(); stuck()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
    )
    assert ended.returncode == EXIT_CODE
    assert "the loop made no step" in ended.stderr
    assert "in stuck" in ended.stderr
