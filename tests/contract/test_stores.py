"""One suite, every store: what the engine relies on."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import rocks
from state.errors import StoreError
from state.rocks import RocksStore
from state.store import MemoryStore, Store

Opener = Callable[[], Store]

KEYS = st.binary(min_size=1, max_size=4)
CHANGES = st.dictionaries(KEYS, st.none() | st.binary(max_size=16), max_size=12)


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "store")
    yield opened
    opened.close()


def test_absent_keys_are_none(store: Store) -> None:
    assert store.get(b"a") is None
    assert store.get_many([b"a", b"b"]) == [None, None]
    assert store.get_many([]) == []


def test_an_empty_value_is_not_absent(store: Store) -> None:
    store.write({b"a": b""})
    assert store.get(b"a") == b""
    assert store.get_many([b"b", b"a", b"a"]) == [None, b"", b""]


def test_none_deletes_and_the_last_write_holds(store: Store) -> None:
    store.write({b"a": b"1", b"b": b"2"})
    store.write({b"a": None, b"b": b"3", b"never": None})
    assert store.get_many([b"a", b"b", b"never"]) == [None, b"3", None]


def test_scan_gives_the_prefix_in_order_and_nothing_else(store: Store) -> None:
    store.write({b"h": b"0", b"hb": b"2", b"ha": b"1", b"g\xff": b"no", b"i": b"no", b"h\xff\xff": b"3"})
    assert list(store.scan(b"h")) == [(b"h", b"0"), (b"ha", b"1"), (b"hb", b"2"), (b"h\xff\xff", b"3")]
    assert len(list(store.scan(b""))) == 6
    assert list(store.scan(b"nothing")) == []


def test_scan_goes_over_many_keys_while_they_are_deleted(store: Store) -> None:
    keys = [b"k%06d" % number for number in range(2_500)]
    store.write(dict.fromkeys(keys, b"value"))
    seen = []
    for key, _ in store.scan(b"k"):
        seen.append(key)
        store.write({key: None})
    assert seen == keys
    assert list(store.scan(b"k")) == []


def test_clear_forgets_and_goes_on(store: Store) -> None:
    store.write({b"a": b"1"})
    store.clear()
    assert store.get(b"a") is None
    store.write({b"a": b"2"})
    assert list(store.scan(b"")) == [(b"a", b"2")]


def test_loading_deletes_and_overwrites_as_writing_does(store: Store) -> None:
    store.write({b"a": b"0", b"b": b"0", b"c": b"0"})
    store.load({b"a": b"1", b"b": None})
    assert store.get_many([b"a", b"b", b"c"]) == [b"1", None, b"0"]
    store.load({b"b": b"2"})
    store.settle()
    store.settle()
    store.write({b"a": b"3"})
    assert list(store.scan(b"")) == [(b"a", b"3"), (b"b", b"2"), (b"c", b"0")]
    store.load({b"d": b"4"})
    store.clear()
    assert list(store.scan(b"")) == []


def test_size_grows_with_what_is_stored(store: Store) -> None:
    before = store.size()
    store.write({b"k%d" % number: os.urandom(1_000) for number in range(200)})
    assert store.size() >= before + 200_000


def test_closing_twice_is_allowed(store: Store) -> None:
    store.close()
    store.close()


def test_threads_write_side_by_side(store: Store) -> None:
    def fill(thread: int) -> None:
        for number in range(50):
            store.write({b"%d-%d" % (thread, number): b"x", b"last-%d" % thread: b"%d" % number})

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [store.get(b"last-%d" % number) for number in range(4)] == [b"49"] * 4
    assert len(list(store.scan(b""))) == 4 * 51


@given(st.lists(CHANGES, max_size=8))
@settings(max_examples=30, deadline=None)
def test_every_store_says_what_a_dictionary_says(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[dict[bytes, bytes | None]]
) -> None:
    expected: dict[bytes, bytes] = {}
    rocks = RocksStore(tmp_path_factory.mktemp("property") / "store")
    memory = MemoryStore()
    for changes in rounds:
        expected.update({key: value for key, value in changes.items() if value is not None})
        for key in [key for key, value in changes.items() if value is None]:
            expected.pop(key, None)
        for one in (rocks, memory):
            one.write(changes)
    assert list(rocks.scan(b"")) == list(memory.scan(b"")) == sorted(expected.items())
    rocks.close()


def test_rocks_reopens_with_what_was_written(tmp_path: Path) -> None:
    first = RocksStore(tmp_path / "store")
    first.write({b"a": b"1"})
    list(first.scan(b""))
    first.close()
    second = RocksStore(tmp_path / "store")
    assert second.get(b"a") == b"1"
    second.close()


WRITE_UNTIL_KILLED = """
import os, sys
from pathlib import Path
from state.rocks import RocksStore

store, number = RocksStore(Path(sys.argv[1]), write_buffer_mb=1), 0
while True:
    number += 1
    value = b"%08d" % number + os.urandom(4_000)
    changes = {b"number": b"%d" % number, b"k%02d" % (number % 89): value, b"g%02d" % (number % 13): None}
    getattr(store, sys.argv[2])({**changes, b"g%02d" % (number % 7): b"%d" % number})
    if number % 50 == 0:
        print(number, flush=True)
"""


@pytest.mark.parametrize(("way", "buffers"), [("write", 2), ("load", 4)])
def test_after_a_kill_rocks_has_what_some_write_had_come_to(tmp_path: Path, way: str, buffers: int) -> None:
    """Of the latest writes, no more is gone than fits into memory; of the earlier ones, nothing."""
    command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path / "store"), way]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    written = 0
    while written < 2_500:
        written = int(child.stdout.readline())
    child.kill()
    written = int((child.communicate()[0].split() or [str(written)])[-1])

    store = RocksStore(tmp_path / "store")
    found = dict(store.scan(b""))
    store.close()
    number = int(found.pop(b"number"))
    assert number > written - buffers * 1024 * 1024 // 4_000
    expected: dict[bytes, bytes | None] = {}
    for each in range(1, number + 1):
        expected[b"k%02d" % (each % 89)] = b"%08d" % each
        expected[b"g%02d" % (each % 13)] = None
        expected[b"g%02d" % (each % 7)] = b"%d" % each
    assert {key: value[:8] for key, value in found.items()} == {
        key: value for key, value in expected.items() if value is not None
    }


@pytest.mark.parametrize("last", ["close()", "settle()"])
def test_rocks_keeps_what_was_saved_before_a_kill(tmp_path: Path, last: str) -> None:
    script = (
        "import os, signal, sys, time; from pathlib import Path; from state.rocks import RocksStore;"
        "path = Path(sys.argv[1]); store = RocksStore(path); store.load({b'a': b'1'});"
        f"store.write({{b'b': b'2'}}); store.{last}\n"
        "while not (store._closed or (list(path.glob('*.sst')) and not store._db.property_int_value("
        "'rocksdb.num-immutable-mem-table'))): time.sleep(0.005)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    child = subprocess.run([sys.executable, "-c", script, str(tmp_path / "store")], timeout=60, check=False)
    assert child.returncode == -signal.SIGKILL
    store = RocksStore(tmp_path / "store")
    assert list(store.scan(b"")) == [(b"a", b"1"), (b"b", b"2")]
    store.close()


def test_rocks_saves_only_what_is_old_enough(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store")
    store.write({b"a": b"1"})
    store.settle(3_600.0)
    assert store._db.property_int_value("rocksdb.num-entries-active-mem-table") == 1
    store.settle(0.0)
    store.settle(0.0)
    assert store._db.property_int_value("rocksdb.num-entries-active-mem-table") == 0
    assert store.get(b"a") == b"1"
    store.close()


def test_rocks_says_that_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RocksStore(tmp_path / "store")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    store.settle()
    store.write({b"a": b"1"})
    with pytest.raises(StoreError, match="No space left on device"):
        store.settle(3_600.0)
    store.close()


class Stalled:
    """A RocksDB that waits for a flush."""

    def __init__(self, store: RocksStore, times: int) -> None:
        self._db = store._db
        self.times = times

    def write(self, *batch: object) -> None:
        if self.times:
            self.times -= 1
            raise Exception("Result incomplete: Write stall")
        self._db.write(*batch)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)


def test_rocks_waits_for_a_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RocksStore(tmp_path / "store")
    stalled = Stalled(store, 3)
    monkeypatch.setattr(store, "_db", stalled)
    store.write({b"a": b"1", b"b": b"2"})
    assert store.get_many([b"a", b"b"]) == [b"1", b"2"]
    stalled.times = 1_000_000
    monkeypatch.setattr(rocks, "_STALL_SECONDS", 0.05)
    with pytest.raises(StoreError, match="nothing was flushed"):
        store.write({b"a": b"3"})
    assert store.get(b"a") == b"1"
    store.close()


def test_rocks_says_who_is_to_blame_for_a_held_folder(tmp_path: Path) -> None:
    owner = RocksStore(tmp_path / "store")
    with pytest.raises(StoreError, match=r"another process.*app\.data"):
        RocksStore(tmp_path / "store", lock_seconds=0.1)
    owner.close()


def test_rocks_waits_for_a_folder_that_is_let_go(tmp_path: Path) -> None:
    owner = RocksStore(tmp_path / "store")
    owner.write({b"a": b"1"})
    timer = threading.Timer(0.2, owner.close)
    timer.start()
    heir = RocksStore(tmp_path / "store", lock_seconds=30.0)
    timer.join(10)
    assert heir.get(b"a") == b"1"
    heir.close()


def test_rocks_throws_damaged_files_away(tmp_path: Path) -> None:
    first = RocksStore(tmp_path / "store")
    first.write({b"a": b"1"})
    first.close()
    (tmp_path / "store" / "CURRENT").write_text("MANIFEST-none\n")
    for manifest in (tmp_path / "store").glob("MANIFEST-*"):
        manifest.write_bytes(b"nothing that RocksDB would know")
    (tmp_path / "store" / "CURRENT").write_text(f"{next((tmp_path / 'store').glob('MANIFEST-*')).name}\n")
    second = RocksStore(tmp_path / "store")
    assert list(second.scan(b"")) == []
    second.close()


def test_a_closed_rocks_store_refuses(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store")
    store.close()
    with pytest.raises(StoreError):
        store.get(b"a")
