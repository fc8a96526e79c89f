"""Files, data and objects come out whole or with a reason; nothing outside what is allowed comes out."""

import base64
import hashlib
import importlib
import io
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encoders.errors import REASONS, MediumError
from encoders.fetch import Fetcher, FetchRequest, buckets
from encoders.fetch.addresses import Resolver, is_allowed_host, is_public
from encoders.fetch.failures import Failures
from encoders.fetch.freshness import fresh_seconds
from encoders.fetch.lanes import Lanes
from encoders.fetch.local import read_data
from encoders.fetch.request import Answer, Validators
from encoders.settings import FetchSettings

# The package hides its module of this name behind a mapping.
REGISTRY = importlib.import_module("fsspec.registry")


def fetch(settings: FetchSettings, uri: str, sha256: str | None = None) -> bytes | MediumError:
    fetcher = Fetcher(settings)
    try:
        (outcome,) = fetcher.fetch_many([FetchRequest(uri, sha256)], 30.0)
    finally:
        fetcher.close()
    return outcome


def reason_of(settings: FetchSettings, uri: str, sha256: str | None = None) -> str:
    outcome = fetch(settings, uri, sha256)
    assert isinstance(outcome, MediumError)
    return outcome.reason


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "media"
    root.mkdir()
    (root / "a b.txt").write_bytes(b"content")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return root


@pytest.fixture
def files(root: Path) -> FetchSettings:
    return FetchSettings(file_roots=(str(root),), max_bytes=1000)


def test_file(files: FetchSettings, root: Path) -> None:
    assert fetch(files, (root / "a b.txt").as_uri()) == b"content"
    assert fetch(files, f"file://localhost{quote(str(root))}/a%20b.txt") == b"content"
    assert fetch(files, f"file:{quote(str(root))}/a%20b.txt") == b"content"


def test_file_reasons(files: FetchSettings, root: Path) -> None:
    assert reason_of(files, (root / "none").as_uri()) == "missing"
    (root / "large").write_bytes(bytes(1001))
    assert reason_of(files, (root / "large").as_uri()) == "too_large"
    assert reason_of(files, root.as_uri()) == "refused"
    assert reason_of(files, "file:a%20b.txt") == "refused"
    assert reason_of(files, f"file://elsewhere{quote(str(root))}/a%20b.txt") == "refused"
    assert reason_of(files, (root / "a b.txt").as_uri() + "%00") == "refused"
    assert reason_of(FetchSettings(), (root / "a b.txt").as_uri()) == "refused"


def test_no_way_out_of_the_roots(files: FetchSettings, root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to(tmp_path / "secret.txt")
    (root / "folder").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    (root / "inside").symlink_to(root / "a b.txt")
    (tmp_path / "media-beside").mkdir()
    (tmp_path / "media-beside" / "x").write_bytes(b"secret")
    base = root.as_uri()
    for way in (
        "link",
        "folder/secret.txt",
        "../secret.txt",
        "%2e%2e/secret.txt",
        "loop",
        "../media-beside/x",
    ):
        assert reason_of(files, f"{base}/{way}") == "refused"
    # What lies outside is refused alike, there or not.
    assert reason_of(files, f"{base}/../none") == "refused"
    assert fetch(files, f"{base}/inside") == b"content"


def test_a_link_that_takes_the_files_place_before_it_is_opened_is_not_followed(
    files: FetchSettings, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, target = os.open, root / "a b.txt"

    def swap(path: Path, *rest: Any) -> int:
        if path == target:
            target.unlink()
            target.symlink_to(tmp_path / "secret.txt")
        return real(path, *rest)

    monkeypatch.setattr(os, "open", swap)
    assert reason_of(files, target.as_uri()) == "refused"
    assert target.is_symlink()


def test_pipes_and_devices_are_refused_at_once(files: FetchSettings, root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert reason_of(files, (root / "pipe").as_uri()) == "refused"
    assert reason_of(FetchSettings(file_roots=("/dev",)), "file:///dev/zero") == "refused"


@pytest.mark.parametrize(
    ("uri", "content"),
    [
        ("data:,hello%20world", b"hello world"),
        ("data:text/plain;charset=utf-8,%E4%B8%96", "世".encode()),
        ("data:image/png;base64,AAEC", b"\x00\x01\x02"),
        ("data:;BASE64,AAE%3D", b"\x00\x01"),
        ("data:;base64,AAE", b"\x00\x01"),
        ("data:;base64,-_-_", b"\xfb\xff\xbf"),
        ("data:;base64,AA EC\n", b"\x00\x01\x02"),
        ("data:,", b""),
    ],
)
def test_data(uri: str, content: bytes) -> None:
    assert fetch(FetchSettings(), uri) == content


def test_data_reasons() -> None:
    small = FetchSettings(max_bytes=1000)
    assert reason_of(small, "data:nothing") == "broken"
    assert reason_of(small, "data:;base64,!!!!") == "broken"
    assert reason_of(small, "data:;base64,A") == "broken"
    assert reason_of(small, "data:," + "x" * 1001) == "too_large"
    assert reason_of(small, "data:," + "x" * 10_000) == "too_large"
    assert reason_of(small, "data:;base64," + base64.b64encode(bytes(1001)).decode()) == "too_large"


@given(st.binary(max_size=300))
def test_data_gives_back_what_went_in(content: bytes) -> None:
    assert read_data("data:;base64," + base64.b64encode(content).decode(), 300) == content
    assert read_data("data:," + quote(content), 300) == content


def test_checksum() -> None:
    right = hashlib.sha256(b"hello").hexdigest()
    assert fetch(FetchSettings(), "data:,hello", right) == b"hello"
    assert fetch(FetchSettings(), "data:,hello", right.upper()) == b"hello"
    assert reason_of(FetchSettings(), "data:,other", right) == "checksum"
    assert reason_of(FetchSettings(), "data:,hello", "é") == "checksum"


def test_schemes() -> None:
    assert reason_of(FetchSettings(), "http://example.org/a") == "refused"
    assert reason_of(FetchSettings(schemes=("https",)), "data:,a") == "refused"
    assert reason_of(FetchSettings(), "javascript:alert(1)") == "refused"
    assert reason_of(FetchSettings(), "") == "refused"
    assert reason_of(FetchSettings(schemes=("ftp",)), "ftp://example.org/a") == "unsupported"


def nowhere(host: str, port: int) -> list[str]:
    raise socket.gaierror("no such name")


@pytest.fixture(scope="module")
def lost() -> Iterator[Fetcher]:
    schemes = ("https", "http", "file", "data", "s3")
    fetcher = Fetcher(FetchSettings(schemes=schemes, hosts=("example.org",)), nowhere)
    yield fetcher
    fetcher.close()


STARTS = st.sampled_from(
    ["https:", "http://", "https://example.org", "data:", "file:", "file:///", "s3://example.org"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(uri=st.text(max_size=80) | st.builds("{}{}".format, STARTS, st.text(max_size=60)))
def test_any_reference_gets_an_answer(lost: Fetcher, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    (outcome,) = lost.fetch_many([FetchRequest(uri)], 30.0)
    assert isinstance(outcome, bytes) or outcome.reason in REASONS
    assert not [record for record in caplog.records if record.name.startswith("encoders")]


def test_order_and_repetition() -> None:
    fetcher = Fetcher(FetchSettings())
    uris = [f"data:,{number % 5}" for number in range(40)]
    outcomes = fetcher.fetch_many([FetchRequest(uri) for uri in uris], 30.0)
    assert outcomes == [str(number % 5).encode() for number in range(40)]
    assert fetcher.fetch_many([], 30.0) == []
    fetcher.close()


def test_no_budget() -> None:
    fetcher = Fetcher(FetchSettings(schemes=("https",)))
    outcomes = fetcher.fetch_many([FetchRequest("https://example.org/")] * 3, 0.0)
    fetcher.close()
    assert [getattr(outcome, "reason", None) for outcome in outcomes] == ["too_slow"] * 3


def test_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY._registry, "s3", MemoryFileSystem)
    MemoryFileSystem().pipe("/pictures/a.png", b"content")
    settings = FetchSettings(schemes=("s3",), hosts=("pictures",), max_bytes=1000)
    assert fetch(settings, "s3://pictures/a.png") == b"content"
    assert reason_of(settings, "s3://pictures/none.png") == "missing"
    assert reason_of(settings, "s3://others/a.png") == "refused"
    MemoryFileSystem().pipe("/pictures/large", bytes(1001))
    assert reason_of(settings, "s3://pictures/large") == "too_large"
    assert reason_of(FetchSettings(), "s3://pictures/a.png") == "refused"


def test_objects_without_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY.known_implementations, "gs", {"class": "absent_package.FileSystem"})
    outcome = fetch(FetchSettings(schemes=("gs",), hosts=("pictures",)), "gs://pictures/a.png")
    assert isinstance(outcome, MediumError)
    assert (outcome.reason, "install penchant[gcs]" in outcome.detail) == ("unsupported", True)


def test_buckets_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read with the worker's own rights, not those of whoever sends the reference."""
    monkeypatch.setitem(REGISTRY._registry, "s3", MemoryFileSystem)
    MemoryFileSystem().pipe("/pictures/a.png", b"content")
    assert reason_of(FetchSettings(schemes=("s3",)), "s3://pictures/a.png") == "refused"
    named = FetchSettings(schemes=("s3",), hosts=("pictures",))
    for uri in ("s3://169.254.169.254/latest/meta-data", "s3:///pictures/a.png", "s3://pictures@others/a"):
        assert reason_of(named, uri) == "refused"


class MoodyStore(MemoryFileSystem):
    """Fails as often as it was told to, then says whose content an object has."""

    failures = 0
    asked = 0
    cachable = False

    def info(self, path: str, **options: object) -> dict[str, object]:
        type(self).asked += 1
        if type(self).failures:
            type(self).failures -= 1
            raise OSError("the store is busy")
        return {**super().info(path), "ETag": "one"}


def test_an_object_store_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY._registry, "s3", MoodyStore)
    MoodyStore().pipe("/pictures/moody", b"content")
    settings = FetchSettings(schemes=("s3",), hosts=("pictures",))
    monkeypatch.setattr(MoodyStore, "failures", 2)
    assert fetch(settings, "s3://pictures/moody") == b"content"
    monkeypatch.setattr(MoodyStore, "failures", 99)
    assert reason_of(settings, "s3://pictures/moody") == "missing"
    assert MoodyStore.failures == 96


class HungStore(MemoryFileSystem):
    """Never answers, until the test is over."""

    over = threading.Event()
    cachable = False

    def info(self, path: str, **options: object) -> dict[str, object]:
        assert type(self).over.wait(300)
        raise OSError("too late")


def test_a_store_that_hangs_keeps_no_thread_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY._registry, "s3", HungStore)
    monkeypatch.setattr(HungStore, "over", threading.Event())
    settings = FetchSettings(
        schemes=("s3", "data"),
        hosts=("pictures",),
        timeout_seconds=0.2,
        concurrency=1,
    )
    fetcher = Fetcher(settings)
    try:
        (hung,) = fetcher.fetch_many([FetchRequest("s3://pictures/a")], 30.0)
        (after,) = fetcher.fetch_many([FetchRequest("data:,words")], 5.0)
    finally:
        HungStore.over.set()
        fetcher.close()
    assert isinstance(hung, MediumError)
    assert hung.reason == "too_slow"
    assert after == b"words"


class DrippingFile(io.BytesIO):
    """Gives a byte at a time, and the time is used up with the first."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__(b"content")
        self._clock = clock

    def read(self, size: int | None = -1) -> bytes:
        self._clock[0] += 60.0
        return super().read(1)


def test_a_store_that_drips_is_left_by_its_own_thread_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(buckets, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    file = DrippingFile(clock)
    with pytest.raises(MediumError, match="too_slow"):
        buckets._content(file, 100, 30.0)
    assert file.tell() == 1


def test_an_object_that_did_not_change_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY._registry, "s3", MoodyStore)
    MoodyStore().pipe("/pictures/a", b"content")
    settings = FetchSettings(schemes=("s3",), hosts=("pictures",))
    first = answer(settings, FetchRequest("s3://pictures/a"))
    assert (first.content, first.validators.etag) == (b"content", "one")
    assert answer(settings, FetchRequest("s3://pictures/a", None, first.validators)).content is None
    other = Validators("other", first.validators.modified)
    assert answer(settings, FetchRequest("s3://pictures/a", None, other)).content == b"content"


def answer(settings: FetchSettings, request: FetchRequest) -> Answer:
    fetcher = Fetcher(settings)
    try:
        (found,) = fetcher.answers([request], 30.0)
    finally:
        fetcher.close()
    assert isinstance(found, Answer)
    return found


def test_a_file_that_did_not_change_is_not_read(files: FetchSettings, root: Path, tmp_path: Path) -> None:
    uri = (root / "a b.txt").as_uri()
    first = answer(files, FetchRequest(uri))
    assert first.content == b"content"
    assert answer(files, FetchRequest(uri, None, first.validators)).content is None
    (root / "new").write_bytes(b"changed")
    (root / "new").replace(root / "a b.txt")
    assert answer(files, FetchRequest(uri, None, first.validators)).content == b"changed"
    # What is known opens no way out of the roots.
    outside = (tmp_path / "secret.txt").as_uri()
    fetcher = Fetcher(files)
    (refused,) = fetcher.answers([FetchRequest(outside, None, first.validators)], 30.0)
    fetcher.close()
    assert isinstance(refused, MediumError)
    assert refused.reason == "refused"


@pytest.mark.parametrize(
    ("control", "age", "seconds"),
    [
        ("", "", 7.0), ("max-age=60", "", 60.0), ("public, max-age=60", "20", 40.0),
        ("MAX-AGE=60", "90", 0.0), ('max-age="60"', "", 60.0), ("max-age=60", "soon", 60.0),
        ("max-age=31536000", "", 86_400.0), ("no-store", "", 0.0), ("max-age=60, no-cache", "", 0.0),
        ("s-maxage=60", "", 7.0), ("max-age=-1", "", 7.0),
        ('no-cache="Set-Cookie"', "", 0.0), ("public", "3", 7.0),
    ],
)  # fmt: skip
def test_how_long_an_answer_stays_fresh(control: str, age: str, seconds: float) -> None:
    assert fresh_seconds(control, age, 7.0) == seconds


def test_failures_are_remembered_for_a_while() -> None:
    now = [100.0]
    failures = Failures(30.0, lambda: now[0])
    failures.add(("https://a", None), MediumError("missing", "HTTP 404"))
    failures.add(("https://b", None), MediumError("too_slow", "the budget is used up"))
    assert failures.get(("https://b", None)) is None
    assert failures.get(("https://a", "sha")) is None
    now[0] = 129.0
    found = failures.get(("https://a", None))
    assert found is not None
    assert found.reason == "missing"
    now[0] = 130.0
    assert failures.get(("https://a", None)) is None
    failures.add(("https://a", None), MediumError("missing", "HTTP 404"))
    failures.forget(("https://a", None))
    assert failures.get(("https://a", None)) is None
    never = Failures(0.0)
    never.add(("https://a", None), MediumError("missing", "HTTP 404"))
    assert never.get(("https://a", None)) is None


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("https://example.org/a", True), ("https://others.org/a", False), ("http://example.org/a", False),
        ("s3://example.org/a", True), ("gs://example.org/a", False), ("file:///etc/passwd", False),
        ("data:,a", False), ("https://[::1", False), ("", False), ("https:", False),
    ],
)  # fmt: skip
def test_what_a_reference_itself_allows(uri: str, allowed: bool) -> None:
    fetcher = Fetcher(FetchSettings(schemes=("https", "s3", "file", "data"), hosts=("example.org",)))
    assert fetcher.allows(uri) is allowed
    fetcher.close()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True), ("64:ff9b::5db8:d822", True),
        ("::ffff:93.184.216.34", True), ("2002:5db8:d822::", True), ("64:ff9b:1::5db8:d822", False),
        ("2001:0:4136:e378:8000:63bf:a247:27dd", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("255.255.255.255", False),
        ("224.0.0.1", False), ("240.0.0.1", False), ("198.18.0.1", False), ("::1", False), ("::", False),
        ("fe80::1", False), ("fe80::1%eth0", False), ("fc00::1", False), ("fd12:3456::1", False),
        ("ff02::1", False), ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False), ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False), ("64:ff9b::a9fe:a9fe", False), ("::127.0.0.1", False),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", False), ("fec0::1", False), ("not an address", False),
    ],
)  # fmt: skip
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("host", "allowed", "expected"),
    [
        ("any.example", (), True),
        ("example.org", ("example.org",), True),
        ("Example.ORG.", ("example.org",), True),
        ("a.example.org", ("example.org",), False),
        ("a.example.org", ("*.example.org",), True),
        ("a.b.example.org", ("*.EXAMPLE.org",), True),
        ("example.org", ("*.example.org",), False),
        ("badexample.org", ("*.example.org",), False),
        (".example.org", ("*.example.org",), False),
        ("example.org.bad.net", ("example.org", "*.example.org"), False),
    ],
)
def test_allowed_hosts(host: str, allowed: tuple[str, ...], expected: bool) -> None:
    assert is_allowed_host(host, allowed) is expected


def test_one_private_address_among_public_ones_is_enough() -> None:
    resolver = Resolver(lambda host, port: ["93.184.216.34", "10.0.0.1"], allow_private=False, threads=1)
    with pytest.raises(MediumError, match="refused"):
        resolver.addresses("example.org", 443, 10.0)
    resolver.close()


def test_a_resolver_that_hangs_is_left_behind() -> None:
    release = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        release.wait(60)
        return ["93.184.216.34"]

    resolver = Resolver(hang, allow_private=False, threads=1)
    with pytest.raises(MediumError, match="too_slow"):
        resolver.addresses("example.org", 443, 0.01)
    release.set()
    resolver.close()


def test_a_slow_host_keeps_threads_free_for_others() -> None:
    lanes = Lanes(threads=4, per_host=2)
    release = threading.Event()
    slow = [lanes.submit("slow", lambda: b"slow" if release.wait(60) else b"") for _ in range(6)]
    assert lanes.submit("other", lambda: b"quick").result(30) == b"quick"
    assert not any(future.done() for future in slow)
    release.set()
    assert [future.result(30) for future in slow] == [b"slow"] * 6
    lanes.close()


def test_closing_cancels_what_waits() -> None:
    lanes = Lanes(threads=1, per_host=1)
    release, begun = threading.Event(), threading.Event()

    def work() -> bytes:
        begun.set()
        release.wait(60)
        return b"done"

    running, waiting = lanes.submit("host", work), lanes.submit("host", work)
    assert begun.wait(30)
    lanes.close()
    release.set()
    assert running.result(30) == b"done"
    assert waiting.cancelled()
