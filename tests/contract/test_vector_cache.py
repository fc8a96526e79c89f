"""The vector cache keeps, forgets the oldest, survives corruption, and never fails its caller."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encoders.errors import ArtifactError
from encoders.vector_cache import VectorCache

MEGABYTE = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vectors"


@pytest.fixture
def cache(folder: Path) -> Iterator[VectorCache]:
    cache = VectorCache(folder, 64 * MEGABYTE)
    yield cache
    cache.close()


def test_gives_back_in_order(cache: VectorCache) -> None:
    cache.put_many({b"a": b"1", b"\x00": b"", b"\xff\xfe": b"3"})
    assert cache.get_many([b"\xff\xfe", b"none", b"a", b"\x00", b"a"]) == [b"3", None, b"1", b"", b"1"]
    assert cache.get_many([]) == []
    cache.put_many({})


def test_a_later_value_wins(cache: VectorCache) -> None:
    cache.put_many({b"a": b"1"})
    cache.put_many({b"a": b"2"})
    assert cache.get_many([b"a"]) == [b"2"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.dictionaries(st.binary(min_size=1, max_size=40), st.binary(max_size=600), max_size=30))
def test_any_bytes(cache: VectorCache, values: dict[bytes, bytes]) -> None:
    cache.put_many(values)
    assert cache.get_many(list(values)) == list(values.values())


def test_warm_start(folder: Path) -> None:
    cache = VectorCache(folder, MEGABYTE)
    cache.put_many({b"a": b"1"})
    cache.close()
    cache.close()
    again = VectorCache(folder, MEGABYTE)
    assert again.get_many([b"a"]) == [b"1"]
    again.close()


def test_closed_is_empty(folder: Path) -> None:
    cache = VectorCache(folder, MEGABYTE)
    cache.close()
    cache.put_many({b"a": b"1"})
    assert cache.get_many([b"a"]) == [None]


def test_bounded_and_the_oldest_go_first(folder: Path) -> None:
    limit = 16 * MEGABYTE
    cache = VectorCache(folder, limit)
    largest = 0
    for turn in range(80):
        cache.put_many({b"%d-%d" % (turn, index): os.urandom(4096) for index in range(128)})
        largest = max(largest, size_of(folder))
    assert largest <= limit
    assert cache.get_many([b"0-0", b"79-127"])[0] is None
    assert len(cache.get_many([b"79-127"])[0] or b"") == 4096
    cache.close()
    assert size_of(folder) <= limit


def size_of(folder: Path) -> int:
    total = 0
    for path in folder.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            # Dropped by compaction since the listing.
            continue
    return total


@pytest.mark.parametrize("pattern", ["*.sst", "MANIFEST-*", "CURRENT", "OPTIONS-*", "rocksdict-config.json"])
def test_corrupt_at_start_is_wiped_with_a_warning(
    folder: Path, pattern: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = VectorCache(folder, MEGABYTE)
    cache.put_many({b"a": b"1"})
    cache.close()
    (folder / "notes.txt").write_text("not of the cache")
    broken = list(folder.glob(pattern))
    assert broken
    for path in broken:
        path.write_bytes(os.urandom(300))
    with caplog.at_level(logging.WARNING):
        again = VectorCache(folder, MEGABYTE)
    assert again.get_many([b"a"]) in ([None], [b"1"])
    again.put_many({b"b": b"2"})
    assert again.get_many([b"b"]) == [b"2"]
    again.close()
    assert (folder / "notes.txt").read_text() == "not of the cache"
    if pattern in ("*.sst", "MANIFEST-*", "CURRENT"):
        assert "starts empty" in caplog.text


def test_a_broken_block_found_while_reading_starts_anew(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = VectorCache(folder, MEGABYTE)
    for _ in range(20):
        cache.put_many({b"%d" % index: os.urandom(500) for index in range(200)})
    cache.close()
    tables = list(folder.glob("*.sst"))
    assert tables
    for table in tables:
        content = bytearray(table.read_bytes())
        for position in range(1000, len(content) // 2, 97):
            content[position] ^= 0xFF
        table.write_bytes(content)
    again = VectorCache(folder, MEGABYTE)
    with caplog.at_level(logging.WARNING):
        found = again.get_many([b"%d" % index for index in range(200)])
    assert found == [None] * 200
    assert "starts empty" in caplog.text
    again.put_many({b"b": b"2"})
    assert again.get_many([b"b"]) == [b"2"]
    again.close()


def test_a_folder_in_use_is_named(folder: Path) -> None:
    cache = VectorCache(folder, MEGABYTE)
    cache.put_many({b"a": b"1"})
    program = (
        "import sys; from pathlib import Path; from encoders.vector_cache import VectorCache\n"
        "from encoders.errors import ArtifactError\n"
        "try: VectorCache(Path(sys.argv[1]), 1 << 20)\n"
        "except ArtifactError as error: print(error)"
    )
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert str(folder) in told.stdout
    assert "in use by another process" in told.stdout
    assert cache.get_many([b"a"]) == [b"1"]
    cache.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(ArtifactError, match="file"):
        VectorCache(file / "vectors", MEGABYTE)


def test_threads_share_it(cache: VectorCache) -> None:
    def work(part: int) -> bool:
        values = {b"%d-%d" % (part, index): b"%d" % index for index in range(200)}
        cache.put_many(values)
        return cache.get_many(list(values)) == list(values.values())

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(16)))
