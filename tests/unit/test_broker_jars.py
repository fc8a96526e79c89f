"""Fetching jars: whole and verified, or a readable error."""

import hashlib
import re
import threading
from pathlib import Path

import pytest
from maven_artifact import RequestException

from streams.broker import jars
from streams.broker.jars import Jar, MavenSource, cache_folder, ensure_jars, read_jar_list
from streams.errors import BrokerError


def jar(name: str, content: bytes) -> Jar:
    return Jar(f"org.example:{name}:1.0", hashlib.sha256(content).hexdigest())


class FakeSource:
    """Serves given bytes; an exception in their place is raised, once for each time it is listed."""

    def __init__(self, **answers: list[bytes | Exception]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self._lock = threading.Lock()

    def fetch(self, jar: Jar, target: Path) -> None:
        name = jar.coordinate.split(":")[1]
        with self._lock:
            self.asked.append(name)
            queue = self.answers[name]
            answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            target.write_bytes(b"half a jar")
            raise answer
        target.write_bytes(answer)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "PAUSE_SECONDS", 0.0)


def test_everything_is_fetched_once(tmp_path: Path) -> None:
    wanted = [jar("a", b"AAA"), jar("b", b"BBB")]
    source = FakeSource(a=[b"AAA"], b=[b"BBB"])
    paths = ensure_jars(tmp_path / "new" / "folder", source, wanted)
    assert [path.name for path in paths] == ["a-1.0.jar", "b-1.0.jar"]
    assert [path.read_bytes() for path in paths] == [b"AAA", b"BBB"]
    assert ensure_jars(tmp_path / "new" / "folder", source, wanted) == paths
    assert sorted(source.asked) == ["a", "b"]


@pytest.mark.parametrize("damaged", [b"", b"AA", b"AAB"])
def test_a_damaged_jar_is_fetched_again(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "a-1.0.jar").write_bytes(damaged)
    [path] = ensure_jars(tmp_path, FakeSource(a=[b"AAA"]), [jar("a", b"AAA")])
    assert path.read_bytes() == b"AAA"


def test_a_failing_download_is_tried_again(tmp_path: Path) -> None:
    source = FakeSource(a=[RequestException("reset"), ConnectionResetError("reset"), b"AAA"])
    [path] = ensure_jars(tmp_path, source, [jar("a", b"AAA")])
    assert path.read_bytes() == b"AAA"
    assert len(source.asked) == 3


def test_a_download_that_keeps_failing_names_artifact_and_mend_on_one_line(tmp_path: Path) -> None:
    source = FakeSource(a=[RequestException("no route\nto host")], b=[b"BBB"])
    with pytest.raises(BrokerError) as caught:
        ensure_jars(tmp_path, source, [jar("a", b"AAA"), jar("b", b"BBB")])
    message = str(caught.value)
    assert "org.example:a:1.0" in message
    assert "no route to host" in message
    assert "PENCHANT_MAVEN_REPOSITORY" in message
    assert "\n" not in message
    assert not (tmp_path / "a-1.0.jar").exists()
    assert source.asked.count("a") == jars.TRIES


def test_other_bytes_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"org\.example:a:1\.0.*SHA-256"):
        ensure_jars(tmp_path, FakeSource(a=[b"evil"]), [jar("a", b"AAA")])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BrokerError, match="cannot keep"):
        ensure_jars(tmp_path / "file" / "kafka", FakeSource(a=[b"AAA"]), [jar("a", b"AAA")])


def test_the_named_repository_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def refuse(url: str, **_: object) -> None:
        asked.append(url)
        raise OSError("refused")

    monkeypatch.setenv("PENCHANT_MAVEN_REPOSITORY", "http://127.0.0.1:9/mirror/")
    monkeypatch.setattr("requests.get", refuse)
    with pytest.raises(RequestException, match="refused"):
        MavenSource().fetch(jar("a", b"AAA"), tmp_path / "a")
    assert asked == ["http://127.0.0.1:9/mirror/org/example/a/1.0/a-1.0.jar"]


def test_the_committed_list_is_whole_and_names_no_host() -> None:
    listed = read_jar_list()
    coordinates = [one.coordinate for one in listed]
    assert "org.apache.kafka:kafka_2.13:4.3.1" in coordinates
    assert len({one.filename for one in listed}) == len(listed) == 46
    assert all(re.fullmatch("[0-9a-f]{64}", one.sha256) for one in listed)
    assert all(re.fullmatch(r"[\w.\-]+:[\w.\-]+:[\w.\-]+", one) for one in coordinates)


def test_the_cache_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == tmp_path / ".cache" / "penchant"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "penchant"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "penchant"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "penchant"
