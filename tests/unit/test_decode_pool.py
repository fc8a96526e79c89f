"""The pool outlives whatever its media do to its processes."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from media_samples import image_bytes, picture, scenes, tone, video_bytes, wav_bytes

from encoders.base import Medium, Modality
from encoders.errors import DecoderCrash, EncodersError, MediumError
from encoders.media.decode import decode_medium
from encoders.media.decoded import Decoded
from encoders.media.pool import DecodePool
from encoders.observer import Observer
from encoders.settings import EncoderSettings

HOSTILE = (sys.executable, "-P", str(Path(__file__).with_name("hostile_child.py")))
SETTINGS = EncoderSettings(decode_workers=2)
HASTY = EncoderSettings(decode_timeout_seconds=2.0)
PICTURE = image_bytes(picture(), "PNG")

MEDIA = [
    Medium(PICTURE),
    Medium(wav_bytes(tone(0.3))),
    Medium(b"some words"),
    Medium(b"", name="a.wav"),
    Medium(video_bytes(scenes([(200, 0, 0), (0, 0, 200)], 10), samples=tone(0.5))),
    Medium(PICTURE[:-30]),
    Medium(b"\x00\x01\x02"),
]


@pytest.fixture
def pool() -> Iterator[DecodePool]:
    pool = DecodePool(SETTINGS)
    yield pool
    pool.close()


@pytest.fixture
def hostile() -> Iterator[DecodePool]:
    pool = DecodePool(SETTINGS, HOSTILE)
    yield pool
    pool.close()


class Notes(Observer):
    def __init__(self) -> None:
        self.ended: list[str] = []

    def decoder_ended(self, cause: str) -> None:
        self.ended.append(cause)


def order(name: str, content: bytes = PICTURE) -> Medium:
    return Medium(content, Modality.IMAGE, name)


def told(pool: DecodePool, name: str) -> str:
    (outcome,) = pool.decode([order(name)])
    assert isinstance(outcome, Decoded)
    assert outcome.text is not None
    return outcome.text


def test_the_same_as_in_this_process(pool: DecodePool) -> None:
    outcomes = pool.decode(MEDIA * 3)
    assert len(outcomes) == len(MEDIA) * 3
    for medium, outcome in zip(MEDIA * 3, outcomes, strict=True):
        try:
            expected = decode_medium(medium, SETTINGS)
        except MediumError as error:
            assert isinstance(outcome, MediumError)
            assert outcome.reason == error.reason
            continue
        assert isinstance(outcome, Decoded)
        assert (outcome.modality, outcome.text) == (expected.modality, expected.text)
        for field in ("image", "sound", "frames"):
            got, wanted = getattr(outcome, field), getattr(expected, field)
            assert (got is None) == (wanted is None)
            if wanted is not None:
                assert got.dtype == wanted.dtype
                assert got.flags.writeable
                np.testing.assert_array_equal(got, wanted)


def test_nothing_to_do(pool: DecodePool) -> None:
    assert pool.decode([]) == []


def test_a_crash_costs_its_own_medium_alone(hostile: DecodePool) -> None:
    outcomes = hostile.decode([order("fine"), order("abort"), order("fine"), order("fine")])
    assert [type(outcome) for outcome in outcomes] == [Decoded, DecoderCrash, Decoded, Decoded]
    assert str(-signal.SIGABRT) in str(outcomes[1])


def test_every_process_that_ends_is_told() -> None:
    notes = Notes()
    pool = DecodePool(SETTINGS, HOSTILE, notes)
    pool.decode([order("fine"), order("abort")])
    pool.close()
    assert notes.ended == ["crashed"] * 3


def test_a_crash_may_pass(hostile: DecodePool, tmp_path: Path) -> None:
    (outcome,) = hostile.decode([order(f"abort-once:{tmp_path / 'seen'}")])
    assert isinstance(outcome, Decoded)
    assert (tmp_path / "seen").exists()


def test_a_medium_that_hangs_is_too_slow() -> None:
    notes = Notes()
    pool = DecodePool(HASTY, HOSTILE, notes)
    outcomes = pool.decode([order("hang"), order("fine")])
    pool.close()
    assert notes.ended == ["too_slow"]
    assert isinstance(outcomes[0], MediumError)
    assert outcomes[0].reason == "too_slow"
    assert isinstance(outcomes[1], Decoded)


def test_a_process_is_replaced_only_when_it_ended(hostile: DecodePool) -> None:
    first = told(hostile, "pid")
    assert told(hostile, "pid") == first
    hostile.decode([order("abort")])
    assert told(hostile, "pid") != first


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its address space")
def test_memory_is_limited(hostile: DecodePool) -> None:
    (outcome,) = hostile.decode([order("eat")])
    assert isinstance(outcome, MediumError)
    assert outcome.reason == "too_large"


def test_no_file_can_be_written(hostile: DecodePool, tmp_path: Path) -> None:
    assert "too large" in told(hostile, f"write:{tmp_path / 'file'}")


def test_passwords_of_the_environment_stay_behind(
    hostile: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENCHANT_KAFKA__PASSWORD", "secret")
    assert "PASSWORD" not in told(hostile, "environment")


def test_what_a_library_prints_is_no_answer(hostile: DecodePool) -> None:
    (outcome,) = hostile.decode([order("print")])
    assert isinstance(outcome, Decoded)
    assert outcome.image is not None


def test_a_babbling_process_is_ended(hostile: DecodePool) -> None:
    outcomes = hostile.decode([order("babble"), order("fine")])
    assert [type(outcome) for outcome in outcomes] == [DecoderCrash, Decoded]


def test_a_process_that_does_not_start_is_an_error_and_no_fault_of_the_medium() -> None:
    pool = DecodePool(SETTINGS, (sys.executable, "-c", "raise SystemExit('no decoder here')"))
    with pytest.raises(EncodersError, match="no decoder here"):
        pool.decode([order("fine")])
    # Text needs no process.
    (outcome,) = pool.decode([Medium(b"words")])
    assert isinstance(outcome, Decoded)
    pool.close()


def test_closing_ends_what_is_under_way() -> None:
    pool = DecodePool(SETTINGS, HOSTILE)
    pid = int(told(pool, "pid"))
    failures: list[Exception] = []

    def decode() -> None:
        try:
            pool.decode([order("hang")] * 4)
        except Exception as error:
            failures.append(error)

    busy = threading.Thread(target=decode)
    busy.start()
    pool.close()
    busy.join(30)
    assert not busy.is_alive()
    assert len(failures) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    pool.close()
    with pytest.raises(EncodersError, match="closed"):
        pool.decode([order("fine")])


def test_threads_share_it(pool: DecodePool) -> None:
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: pool.decode(MEDIA[:3]), range(8)))
    assert all(isinstance(outcome, Decoded) for result in results for outcome in result)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs process descriptors")
def test_processes_end_with_their_parent() -> None:
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from encoders.base import Medium; from encoders.media.pool import DecodePool\n"
        "from encoders.settings import EncoderSettings\n"
        "pool = DecodePool(EncoderSettings(), sys.argv[2:])\n"
        "(outcome,) = pool.decode([Medium(b'x', 'image', 'pid')])\n"
        "print(outcome.text, flush=True); os.kill(os.getpid(), 9)"
    )
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", program, root, *HOSTILE], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        line = parent.stdout.readline()
    assert line.strip().isdecimal()
    try:
        descriptor = os.pidfd_open(int(line))
    except ProcessLookupError:
        return
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    ended = waiting.poll(20_000)
    os.close(descriptor)
    assert ended
