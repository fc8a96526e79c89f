"""`penchant encode-catalogue`: each medium encoded once, through kills; failures told by their place."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from media_samples import image_bytes, tone, wav_bytes
from media_server import MediaServer, running
from PIL import Image

from encoders.base import Encoded, Medium, Modality
from encoders.layered_cache import MARK, mark
from encoders.vector_cache import VectorCache
from streams import bulk_encoding
from streams.bulk_encoding import (
    FIRST_MEDIA,
    MOST_MEDIA,
    WINDOW_BYTES,
    Pace,
    encoded_windows,
    failures,
    one_ahead,
    windows,
)
from streams.bulk_report import NAMED, Report
from streams.cli import cli
from streams.commands import items
from streams.encode.configured_media import bulk_folder, configured_media
from streams.encode.items import plan_item
from streams.encode.media import EncodedMedia, Wanted
from streams.item_sources import Bad, Entry, Found, Skipped
from streams.records import Item, MediaReference
from streams.settings import Settings, load_settings
from tests import encoder_samples
from tests.fake_media import fake_media

ROOT = Path(__file__).parents[2]
LIMIT = 120.0


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "PENCHANT_APP__DATA": str(tmp_path / "data"),
        "PENCHANT_FETCH__FILE_ROOTS": json.dumps([str(tmp_path)]),
        "PENCHANT_FETCH__SCHEMES": json.dumps(["file", "http"]),
        "PENCHANT_FETCH__ALLOW_PRIVATE_ADDRESSES": "true",
        "PENCHANT_FETCH__TIMEOUT_SECONDS": "60",
        "PENCHANT_ENCODERS__DEVICE": "cpu",
        "PENCHANT_ENCODERS__TEXT": "bag-of-words",
        "PENCHANT_ENCODERS__IMAGE": "colour-histogram",
        "PENCHANT_ENCODERS__AUDIO": "intensity",
        "PENCHANT_ENCODERS__CACHE_BYTES": str(1 << 24),
    }


@pytest.fixture
def settings(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings(None)


@pytest.fixture
def server() -> Iterator[MediaServer]:
    with running() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    media = tmp_path / "media" / "things"
    media.mkdir(parents=True)
    for number in range(3):
        save_picture(media / f"picture-{number}.png", number)
    (media / "bell.wav").write_bytes(wav_bytes(tone(0.5)))
    (media / "bell.txt").write_text("A bell\nof bronze")
    (media / "notes.xyz").write_text("no medium")
    return media.parent


def save_picture(path: Path, seed: int) -> None:
    path.write_bytes(image_bytes(Image.fromarray(encoder_samples.picture(seed)), "PNG"))


def lines(path: Path, rows: list[dict[str, Any] | str]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def run(environment: Mapping[str, str], *arguments: str | Path) -> Result:
    words = ["encode-catalogue", *(str(each) for each in arguments)]
    return CliRunner().invoke(cli, words, prog_name="penchant", env=environment)


def shares(result: Result) -> dict[str, tuple[int, int, int]]:
    """At hand, encoded and failed media by modality."""
    media = json.loads(result.stdout)["media"]
    return {name: (one["at_hand"], one["encoded"], one["failed"]) for name, one in media.items()}


def test_a_folder_is_encoded_once(environment: dict[str, str], folder: Path) -> None:
    first = run(environment, folder, "--json")
    assert first.exit_code == 0, first.output
    assert shares(first) == {"text": (0, 4, 0), "image": (0, 3, 0), "audio": (0, 1, 0)}
    report = json.loads(first.stdout)
    assert (report["items"], report["bad"], report["skipped"], report["failures"]) == (4, 0, 1, 0)
    assert report["media"]["image"]["encoder_seconds"] > 0
    again = run(environment, folder, "--json")
    assert shares(again) == {"text": (4, 0, 0), "image": (3, 0, 0), "audio": (1, 0, 0)}
    assert json.loads(again.stdout)["vector_bytes"] >= report["vector_bytes"] // 2


def test_the_report_for_people(environment: dict[str, str], folder: Path) -> None:
    result = run(environment, folder)
    first, head, *rows = result.stdout.splitlines()
    assert first.startswith("4 items in ")
    assert first.endswith(" a second), 0 bad lines, 1 files skipped")
    assert head.split() == ["at", "hand", "encoded", "failed", "encoder", "s", "media/s"]
    assert [row.split()[:4] for row in rows] == [
        ["text", "0", "4", "0"],
        ["image", "0", "3", "0"],
        ["audio", "0", "1", "0"],
    ]
    assert "loading the encoders" in result.stderr


def test_the_workers_find_all_of_it_those_too_that_run_already(
    environment: dict[str, str], settings: Settings, folder: Path, tmp_path: Path
) -> None:
    picture = (folder / "things" / "picture-1.png").as_uri()
    wanted = [Wanted(text="A bell\nof bronze", modality=Modality.TEXT), Wanted(uri=picture)]
    with ExitStack() as stack:
        running_already = configured_media(settings, tmp_path / "worker", stack)
        assert run(environment, folder).exit_code == 0
        later = configured_media(settings, tmp_path / "later", stack)
        for media in (running_already, later):
            encoded = media.encode([*wanted, Wanted(text="of nobody", modality=Modality.TEXT)]).encoded
            assert [one.cached for one in encoded.values()] == [True, True, False]


def test_what_fails_is_told_by_its_line_and_the_rest_is_encoded(
    environment: dict[str, str], tmp_path: Path, server: MediaServer
) -> None:
    save_picture(tmp_path / "good.png", 1)
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:90])
    catalogue = lines(
        tmp_path / "catalogue.jsonl",
        [
            {"item_id": "a", "title": "One", "media": [{"uri": "good.png"}]},
            "{not json",
            {"item_id": "b", "title": "Two", "media": [{"uri": "cut.png"}]},
            {"item_id": "c", "title": "Three", "media": [{"uri": "/etc/passwd"}]},
            {"item_id": "d", "media": [{"uri": f"{server.url}/none"}, {"uri": "nowhere.png"}]},
            {"item_id": "e", "title": "Four", "media": [{"uri": f"{server.url}/status/404"}]},
            {"item_id": "f", "title": "Five", "media": [{"text": "more", "modality": "text"}] * 33},
        ],
    )
    told = tmp_path / "failures.jsonl"
    result = run(environment, catalogue, "--json", "--failures", told)
    assert result.exit_code == 1, result.output
    assert shares(result)["image"][1:] == (1, 1)
    assert shares(result)["text"][1] == 6
    found = [json.loads(line) for line in told.read_text().splitlines()]
    assert [(one["where"].rpartition(":")[2], one["item_id"], one["reason"]) for one in found] == [
        ("2", "", ""),
        ("5", "", ""),
        ("3", "b", "broken"),
        ("4", "c", "refused"),
        ("6", "e", "missing"),
        ("7", "f", "too_large"),
    ]
    for one in found:
        assert f"{one['where']}: " in result.stderr
        assert one["problem"] in result.stderr


def test_a_catalogue_that_is_not_there_is_told_before_anything_is_loaded(
    environment: dict[str, str], tmp_path: Path
) -> None:
    result = run(environment, tmp_path / "none.jsonl")
    assert result.exit_code == 2
    assert "no such file" in result.stderr
    assert "loading" not in result.stderr


def test_two_at_once_are_refused(environment: dict[str, str], settings: Settings, folder: Path) -> None:
    other = VectorCache(bulk_folder(settings), 1 << 24)
    result = run(environment, folder)
    other.close()
    assert result.exit_code == 2
    assert "does `penchant encode-catalogue` run already?" in result.stderr
    assert run(environment, folder).exit_code == 0


def test_killed_and_run_again_it_encodes_only_what_is_missing(
    environment: dict[str, str], settings: Settings, tmp_path: Path, server: MediaServer
) -> None:
    rows: list[dict[str, Any] | str] = []
    for number in range(FIRST_MEDIA + 4):
        save_picture(tmp_path / f"{number}.png", number)
        rows.append(
            {"item_id": f"i{number}", "title": f"Thing {number}", "media": [{"uri": f"{number}.png"}]}
        )
    stalled: dict[str, Any] = {
        "item_id": "slow",
        "media": [{"uri": f"{server.url}/stall", "modality": "image"}],
    }
    catalogue = lines(tmp_path / "catalogue.jsonl", [*rows, stalled])
    command = [sys.executable, "-m", "streams.cli", "encode-catalogue", str(catalogue)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.DEVNULL
    )
    try:
        # The first window is encoded, and the second one waits for the server.
        deadline = time.monotonic() + LIMIT
        while not ((bulk_folder(settings) / MARK).exists() and server.asked["/stall"]):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait(LIMIT)
    rest = lines(tmp_path / "catalogue.jsonl", rows)
    again = run(environment, rest, "--json")
    assert again.exit_code == 0, again.output
    assert shares(again) == {"text": (FIRST_MEDIA, 4, 0), "image": (FIRST_MEDIA, 4, 0)}
    assert set(shares(run(environment, rest, "--json")).values()) == {(FIRST_MEDIA + 4, 0, 0)}


def test_sends_the_items_in_the_end(
    environment: dict[str, str], settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[Path, bool]] = []

    def load(source: object, path: Path, settings: Settings, strict: bool, waiting: dict[str, Any]) -> object:
        sent.append((path, waiting["wait"]))
        assert (bulk_folder(settings) / MARK).exists()
        return items.Counts(good=4)

    monkeypatch.setattr(items, "_load", load)
    assert run(environment, folder, "--send").exit_code == 0
    assert sent == [(folder, True)]


def test_a_folder_that_gets_full_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    rows: list[dict[str, Any] | str] = [{"item_id": f"{n}", "title": f"word{n} " * 9} for n in range(300)]
    catalogue = lines(tmp_path / "catalogue.jsonl", rows)
    result = run({**environment, "PENCHANT_ENCODERS__CACHE_BYTES": "100000"}, catalogue)
    assert "encoders.cache_bytes is 100,000: the oldest are dropped" in result.stderr
    assert "encoders.cache_bytes" not in run(environment, catalogue).stderr


def item(number: int, *uris: str, title: str = "") -> Found:
    media = [MediaReference(uri=uri) for uri in uris]
    return Found(f"file:{number}", number, Item(item_id=f"i{number}", title=title, media=media))


def test_windows_hold_every_entry_in_order() -> None:
    pace = Pace()
    entries: list[Entry] = [item(number, f"https://media.test/{number}") for number in range(1, 40)]
    entries += [Bad("file:40", 40, "no"), Skipped("file:41", 41)]
    found = list(windows(entries, pace))
    assert [len(window.items) for window in found] == [FIRST_MEDIA, FIRST_MEDIA, 39 - 2 * FIRST_MEDIA]
    assert [window.position for window in found] == [FIRST_MEDIA, 2 * FIRST_MEDIA, 41]
    assert [item.where for window in found for item in window.items] == [f"file:{n}" for n in range(1, 40)]
    assert [window.bad for window in found][-1] == [entries[39]]
    assert found[-1].skipped == 1
    assert list(windows([], pace)) == []


def test_texts_alone_fill_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_encoding, "MOST_ITEMS", 5)
    entries = [item(number, title="words") for number in range(1, 13)]
    assert [len(window.items) for window in windows(entries, Pace())] == [5, 5, 2]


def test_windows_grow_as_far_as_their_contents_have_room() -> None:
    pace = Pace()
    for _ in range(20):
        pace.learn([Medium(b"small")] * 3)
    assert pace.media == MOST_MEDIA
    pace.learn([Medium(bytes(WINDOW_BYTES // 2))])
    assert pace.media == 2
    pace.learn([Medium(bytes(2 * WINDOW_BYTES))])
    assert pace.media == 1
    pace.learn([])
    assert pace.media == 1


def test_every_medium_of_every_window_is_encoded_and_faults_are_told() -> None:
    entries = [item(1, "https://media.test/a", "https://media.test/fatal-b", title="words")]
    entries += [item(2, "https://media.test/!missing", "https://media.test/broken-c")]
    entries += [item(3, "https://media.test/picture.png/!refused")]
    ((window, media),) = encoded_windows(entries, fake_media())
    assert len(media.encoded) == 6
    assert [failure[:5] for failure in failures(window, media)] == [
        ("file:1", "the decoder ended three times", "i1", "text", "crash"),
        ("file:2", "as the test asked", "i2", "text", "missing"),
        ("file:2", "no such format", "i2", "image", "broken"),
        ("file:3", "as the test asked", "i3", "text", "refused"),
    ]


def test_the_next_is_made_while_the_last_is_worked_on() -> None:
    begun = [threading.Event() for _ in range(4)]

    def numbers() -> Iterator[int]:
        for number, event in enumerate(begun):
            event.set()
            yield number + 1

    for place, number in enumerate(one_ahead(numbers())):
        assert number == place + 1
        assert number == len(begun) or begun[number].wait(LIMIT)


def test_what_fails_ahead_is_raised_in_its_turn() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise ValueError("no second")

    found = one_ahead(numbers())
    assert next(found) == 1
    with pytest.raises(ValueError, match="no second"):
        next(found)


def test_many_failures_are_named_in_part_and_counted_in_all() -> None:
    report = Report()
    for number in range(NAMED + 5):
        report.fail(bulk_encoding.Failure(f"file:{number}", "bad", f"i{number}", "image", "broken"))
    report.fail(bulk_encoding.Failure("file:99", "not JSON"))
    told = list(report.complaints(1 << 20))
    assert told[:2] == ["file:0: i0: image broken: bad", "file:1: i1: image broken: bad"]
    assert told[NAMED:] == [
        "and 6 more; --failures FILE writes all of them",
        f"in all: {NAMED + 5} image broken, 1 bad line",
    ]


def test_a_video_counts_once_and_as_a_video() -> None:
    report = Report()
    plan = plan_item(bulk_encoding._plan(item(1, "https://media.test/v")).new)
    window = bulk_encoding.Window(1, [bulk_encoding.Planned("file:1", plan)])
    vector = np.zeros(128, np.float32)
    video = Encoded(vectors={Modality.AUDIO: vector, Modality.VIDEO: vector})
    report.add(window, EncodedMedia({plan.wanted[0]: video}))
    assert {name: share.media for name, share in report.media.items()} == {"video": 1}


def test_marks_are_told_apart_however_close(tmp_path: Path) -> None:
    mark(tmp_path)
    first = (tmp_path / MARK).stat().st_mtime_ns
    mark(tmp_path)
    assert (tmp_path / MARK).stat().st_mtime_ns > first
